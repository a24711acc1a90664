import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import org.mariadb.jdbc.ServerSidePreparedStatement;

/** The scenario of ../README.md with MariaDB Connector/J. */
public final class Scenario {
    static final String PORT_QUERY =
        "SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()";
    /** What the driver sends by itself at connect, as one pipelined burst. */
    static final String[] OWN = {"SET autocommit=1", "SELECT @@max_allowed_packet"};

    final Connection connection;
    final Map<String, Integer> com = new TreeMap<>();
    final Map<String, Integer> texts = new TreeMap<>();
    final Map<String, Integer> executes = new TreeMap<>();
    final Map<String, Integer> errors = new TreeMap<>();
    int port;

    Scenario(Connection connection) {
        this.connection = connection;
        for (String sql : OWN) countText(sql);
    }

    static String keyword(String sql) {
        return sql.trim().split("\\s+")[0].toLowerCase();
    }

    static void add(Map<String, Integer> counts, String key) {
        counts.merge(key, 1, Integer::sum);
    }

    void countText(String sql) {
        add(com, "COM_QUERY");
        add(texts, keyword(sql));
    }

    void text(String sql) {
        countText(sql);
        try (Statement statement = connection.createStatement()) {
            read(statement, statement.execute(sql));
        } catch (SQLException error) {
            add(errors, String.valueOf(error.getErrorCode()));
        }
    }

    static void read(Statement statement, boolean isResult) throws SQLException {
        while (isResult || statement.getUpdateCount() != -1) {
            if (isResult) {
                try (ResultSet rows = statement.getResultSet()) {
                    while (rows.next()) rows.getString(1);
                }
            }
            isResult = statement.getMoreResults();
        }
    }

    void readPort() throws SQLException {
        countText(PORT_QUERY);
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(PORT_QUERY)) {
            row.next();
            String host = row.getString(1);
            port = Integer.parseInt(host.substring(host.lastIndexOf(':') + 1));
        }
    }

    void parameters(String sql, String[] numbers) {
        // Only what looks like a statement that can be prepared is; the driver sends the rest as text.
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            boolean atServer = statement instanceof ServerSidePreparedStatement;
            if (atServer) add(com, "COM_STMT_PREPARE");
            for (String number : numbers) {
                if (atServer) {
                    add(com, "COM_STMT_EXECUTE");
                    add(executes, keyword(sql));
                } else {
                    countText(sql);
                }
                statement.setInt(1, Integer.parseInt(number));
                try {
                    read(statement, statement.execute());
                } catch (SQLException error) {
                    add(errors, String.valueOf(error.getErrorCode()));
                }
            }
            if (atServer) add(com, "COM_STMT_CLOSE");
        } catch (SQLException error) {
            add(errors, String.valueOf(error.getErrorCode()));
        }
    }

    void step(String line) throws SQLException {
        String[] parts = line.split(" ", 2);
        switch (parts[0]) {
            case "text" -> text(parts[1]);
            case "prepared" -> {
                String[] more = parts[1].split(" ", 2);
                parameters(more[1], more[0].split(","));
            }
            case "ping" -> {
                connection.isValid(5);
                add(com, "COM_PING");
            }
            case "use" -> {
                connection.setCatalog(parts[1]);
                add(com, "COM_INIT_DB");
            }
            default -> throw new IllegalArgumentException(line);
        }
    }

    static String json(Map<String, Integer> counts) {
        StringJoiner joined = new StringJoiner(",", "{", "}");
        counts.forEach((key, count) -> joined.add("\"" + key + "\":" + count));
        return joined.toString();
    }

    void close(String client) throws SQLException {
        connection.close();
        add(com, "COM_QUIT");
        System.out.printf(
            "{\"client\":\"%s\",\"port\":%d,\"connections\":1,\"com\":%s,\"text_statements\":%s,"
                + "\"prepared_executes\":%s,\"errors\":%s}%n",
            client, port, json(com), json(texts), json(executes), json(errors));
    }

    public static void main(String[] args) throws Exception {
        String mode = args[0];
        boolean prepared = mode.startsWith("java-prepared");
        String url = "jdbc:mariadb://" + args[1] + ":" + args[2] + "/test?user=app&password=app-password"
            + "&useServerPrepStmts=" + prepared + "&cachePrepStmts=false"
            + "&useCompression=" + mode.endsWith("-compress")
            + "&useSsl=" + mode.endsWith("-tls") + "&trustServerCertificate=true";
        List<String> lines = Files.readAllLines(Path.of(args[3]));
        List<Scenario> opened = new ArrayList<>();
        for (int number = 1; number <= Integer.parseInt(args[4]); number++) {
            Scenario scenario = new Scenario(DriverManager.getConnection(url));
            scenario.readPort();
            for (String line : lines) scenario.step(line.replace("{c}", String.valueOf(number)));
            opened.add(scenario);
        }
        for (Scenario scenario : opened) scenario.close(mode);
    }
}
