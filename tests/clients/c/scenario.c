/* The scenario of ../README.md with MariaDB Connector/C (libmariadb).
 * Modes: c-text, c-prepared, c-cursor (prepared, rows fetched in blocks of 50 through a read-only cursor);
 * each also with -compress or -tls. */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#define PORT_QUERY "SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()"
#define KINDS 32
#define CURSOR_BLOCK 50

struct counts {
    char names[KINDS][32];
    unsigned values[KINDS];
};

struct run {
    MYSQL *connection;
    unsigned port;
    struct counts com, texts, executes, errors;
};

enum mode { TEXT, PREPARED, CURSOR };

static void add(struct counts *counts, const char *name)
{
    for (int i = 0; i < KINDS; i++) {
        if (!counts->names[i][0])
            snprintf(counts->names[i], sizeof counts->names[i], "%s", name);
        if (!strcmp(counts->names[i], name)) {
            counts->values[i]++;
            return;
        }
    }
    abort();
}

static void add_keyword(struct counts *counts, const char *sql)
{
    char word[32] = "";
    for (unsigned i = 0; i < sizeof word - 1 && isalpha((unsigned char)sql[i]); i++)
        word[i] = (char)tolower((unsigned char)sql[i]);
    add(counts, word);
}

static void add_error(struct run *run, unsigned code)
{
    char name[12];
    snprintf(name, sizeof name, "%u", code);
    add(&run->errors, name);
}

static void text(struct run *run, const char *sql)
{
    add(&run->com, "COM_QUERY");
    add_keyword(&run->texts, sql);
    int failed = mysql_query(run->connection, sql);
    while (!failed) {
        MYSQL_RES *result = mysql_store_result(run->connection);
        if (result) {
            MYSQL_ROW row = mysql_fetch_row(result);
            if (!strcmp(sql, PORT_QUERY))
                run->port = (unsigned)atoi(strrchr(row[0], ':') + 1);
            mysql_free_result(result);
        }
        failed = mysql_next_result(run->connection);
    }
    if (failed > 0)
        add_error(run, mysql_errno(run->connection));
}

/* Rows of one execution: all at once, or block by block, each block a COM_STMT_FETCH. */
static void fetch(struct run *run, MYSQL_STMT *statement, enum mode mode)
{
    if (!mysql_stmt_field_count(statement))
        return;
    unsigned rows = 0;
    while (mysql_stmt_fetch(statement) == 0)
        rows++;
    if (mode == CURSOR)
        for (unsigned block = 0; block <= rows / CURSOR_BLOCK; block++)
            add(&run->com, "COM_STMT_FETCH");
    mysql_stmt_free_result(statement);
}

static void prepared(struct run *run, const char *sql, const char *numbers, enum mode mode)
{
    MYSQL_STMT *statement = mysql_stmt_init(run->connection);
    add(&run->com, "COM_STMT_PREPARE");
    if (mysql_stmt_prepare(statement, sql, strlen(sql))) {
        add_error(run, mysql_stmt_errno(statement));
        mysql_stmt_close(statement);
        return;
    }
    if (mode == CURSOR) {
        unsigned long type = CURSOR_TYPE_READ_ONLY, block = CURSOR_BLOCK;
        mysql_stmt_attr_set(statement, STMT_ATTR_CURSOR_TYPE, &type);
        mysql_stmt_attr_set(statement, STMT_ATTR_PREFETCH_ROWS, &block);
    }
    for (const char *at = numbers; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        int number = atoi(at);
        MYSQL_BIND parameter;
        memset(&parameter, 0, sizeof parameter);
        parameter.buffer_type = MYSQL_TYPE_LONG;
        parameter.buffer = &number;
        mysql_stmt_bind_param(statement, &parameter);
        add(&run->com, "COM_STMT_EXECUTE");
        add_keyword(&run->executes, sql);
        if (mysql_stmt_execute(statement))
            add_error(run, mysql_stmt_errno(statement));
        else
            fetch(run, statement, mode);
    }
    mysql_stmt_close(statement);
    add(&run->com, "COM_STMT_CLOSE");
}

static void step(struct run *run, enum mode mode, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = 0;
    if (!strcmp(line, "text")) {
        text(run, rest);
    } else if (!strcmp(line, "ping")) {
        mysql_ping(run->connection);
        add(&run->com, "COM_PING");
    } else if (!strcmp(line, "use")) {
        mysql_select_db(run->connection, rest);
        add(&run->com, "COM_INIT_DB");
    } else if (!strcmp(line, "prepared")) {
        char *sql = strchr(rest, ' ');
        *sql++ = 0;
        if (mode != TEXT) {
            prepared(run, sql, rest, mode);
            return;
        }
        char *mark = strchr(sql, '?');
        for (char *number = strtok(rest, ","); number; number = strtok(NULL, ",")) {
            size_t size = strlen(sql) + strlen(number) + 1;
            char *filled = malloc(size);
            if (!filled)
                abort();
            snprintf(filled, size, "%.*s%s%s", (int)(mark - sql), sql, number, mark + 1);
            text(run, filled);
            free(filled);
        }
    }
}

/* A copy, without the end of the line. */
static char *number_connection(const char *line, int number)
{
    const char *mark = strstr(line, "{c}");
    size_t size = strlen(line) + 16;
    char *out = malloc(size);
    if (!out)
        abort();
    if (mark)
        snprintf(out, size, "%.*s%d%s", (int)(mark - line), line, number, mark + 3);
    else
        snprintf(out, size, "%s", line);
    out[strcspn(out, "\n")] = 0;
    return out;
}

static void print_counts(const char *name, const struct counts *counts)
{
    printf(",\"%s\":{", name);
    for (int i = 0; i < KINDS && counts->names[i][0]; i++)
        printf("%s\"%s\":%u", i ? "," : "", counts->names[i], counts->values[i]);
    printf("}");
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    enum mode mode = !strncmp(argv[1], "c-text", 6) ? TEXT : !strncmp(argv[1], "c-cursor", 8) ? CURSOR : PREPARED;
    int connections = atoi(argv[5]);
    struct run *runs = calloc((size_t)connections, sizeof *runs);
    for (int number = 1; number <= connections; number++) {
        struct run *run = &runs[number - 1];
        run->connection = mysql_init(NULL);
        unsigned protocol = MYSQL_PROTOCOL_TCP;
        mysql_options(run->connection, MYSQL_OPT_PROTOCOL, &protocol);
        my_bool tls = strstr(argv[1], "-tls") != NULL;
        mysql_options(run->connection, MYSQL_OPT_SSL_ENFORCE, &tls);
        unsigned local_files = 1;
        mysql_options(run->connection, MYSQL_OPT_LOCAL_INFILE, &local_files);
        if (strstr(argv[1], "-compress"))
            mysql_options(run->connection, MYSQL_OPT_COMPRESS, NULL);
        if (!mysql_real_connect(run->connection, argv[2], "app", "app-password", "test",
                                (unsigned)atoi(argv[3]), NULL, CLIENT_MULTI_RESULTS)) {
            fprintf(stderr, "%s\n", mysql_error(run->connection));
            return 1;
        }
        text(run, PORT_QUERY);
        FILE *script = fopen(argv[4], "r");
        char *line = NULL;
        size_t size = 0;
        while (script && getline(&line, &size, script) >= 0) {
            char *numbered = number_connection(line, number);
            step(run, mode, numbered);
            free(numbered);
        }
        free(line);
        fclose(script);
    }
    for (struct run *run = runs; run < runs + connections; run++) {
        mysql_close(run->connection);
        add(&run->com, "COM_QUIT");
        printf("{\"client\":\"%s\",\"port\":%u,\"connections\":1", argv[1], run->port);
        print_counts("com", &run->com);
        print_counts("text_statements", &run->texts);
        print_counts("prepared_executes", &run->executes);
        print_counts("errors", &run->errors);
        printf("}\n");
    }
    free(runs);
    return 0;
}
