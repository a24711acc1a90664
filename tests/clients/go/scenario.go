// The scenario of ../README.md with go-sql-driver/mysql.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

const portQuery = "SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()"

type report struct {
	Client      string         `json:"client"`
	Port        int            `json:"port"`
	Connections int            `json:"connections"`
	Com         map[string]int `json:"com"`
	Texts       map[string]int `json:"text_statements"`
	Executes    map[string]int `json:"prepared_executes"`
	Errors      map[string]int `json:"errors"`
}

type run struct {
	report
	pool       *sql.DB
	connection *sql.Conn
	prepared   bool
}

var background = context.Background()

func keyword(text string) string { return strings.ToLower(strings.Fields(text)[0]) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func (r *run) failed(err error) bool {
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		r.Errors[strconv.Itoa(int(refused.Number))]++
		return true
	}
	check(err)
	return false
}

func (r *run) countText(text string) {
	r.Com["COM_QUERY"]++
	r.Texts[keyword(text)]++
}

// drain reads every result; an error may come after the first.
func (r *run) drain(rows *sql.Rows) {
	defer rows.Close()
	for {
		for rows.Next() {
		}
		if r.failed(rows.Err()) || !rows.NextResultSet() {
			r.failed(rows.Err())
			return
		}
	}
}

func (r *run) text(text string) {
	r.countText(text)
	rows, err := r.connection.QueryContext(background, text)
	if !r.failed(err) {
		r.drain(rows)
	}
}

func (r *run) parameters(text string, numbers []string) {
	r.Com["COM_STMT_PREPARE"]++
	statement, err := r.connection.PrepareContext(background, text)
	if r.failed(err) {
		return
	}
	for _, number := range numbers {
		value, err := strconv.Atoi(number)
		check(err)
		r.Com["COM_STMT_EXECUTE"]++
		r.Executes[keyword(text)]++
		rows, err := statement.QueryContext(background, value)
		if !r.failed(err) {
			r.drain(rows)
		}
	}
	check(statement.Close())
	r.Com["COM_STMT_CLOSE"]++
}

func (r *run) step(line string) {
	op, rest, _ := strings.Cut(line, " ")
	switch op {
	case "text":
		// The driver's 1.5 waits for ever after an error that follows a first result set.
		if keyword(rest) != "call" {
			r.text(rest)
		}
	case "prepared":
		list, text, _ := strings.Cut(rest, " ")
		numbers := strings.Split(list, ",")
		if r.prepared {
			r.parameters(text, numbers)
			return
		}
		for _, number := range numbers {
			r.text(strings.Replace(text, "?", number, 1))
		}
	case "ping":
		check(r.connection.PingContext(background))
		r.Com["COM_PING"]++
	}
}

func connect(mode, host, port string) *run {
	dsn := fmt.Sprintf("app:app-password@tcp(%s)/test?maxAllowedPacket=67108864", hostPort(host, port))
	pool, err := sql.Open("mysql", dsn)
	check(err)
	connection, err := pool.Conn(background)
	check(err)
	r := &run{pool: pool, connection: connection, prepared: mode == "go-prepared"}
	r.report = report{Client: mode, Connections: 1, Com: map[string]int{}, Texts: map[string]int{},
		Executes: map[string]int{}, Errors: map[string]int{}}
	r.countText(portQuery)
	var address string
	check(connection.QueryRowContext(background, portQuery).Scan(&address))
	r.Port, err = strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
	check(err)
	return r
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func (r *run) close() {
	check(r.connection.Close())
	check(r.pool.Close())
	r.Com["COM_QUIT"]++
	check(json.NewEncoder(os.Stdout).Encode(r.report))
}

func main() {
	mode, host, port := os.Args[1], os.Args[2], os.Args[3]
	script, err := os.ReadFile(os.Args[4])
	check(err)
	connections, err := strconv.Atoi(os.Args[5])
	check(err)
	var runs []*run
	for number := 1; number <= connections; number++ {
		r := connect(mode, host, port)
		for _, line := range strings.Split(strings.TrimSpace(string(script)), "\n") {
			r.step(strings.ReplaceAll(line, "{c}", strconv.Itoa(number)))
		}
		runs = append(runs, r)
	}
	for _, r := range runs {
		r.close()
	}
}
