package server

import (
	"context"
	"net/http"

	"github.com/shardmill/shardmill/api/dynamodb"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

// startTables makes DynamoDB's tables usable. Nothing is read of a table before it is used.
func (s *Server) startTables(ctx context.Context, r *rooms) (err error) {
	r.tables, err = table.New(table.Options{Local: r.store.Local(), Clock: s.clock, Log: s.log.With("room", "table")})
	if err == nil {
		err = r.tables.Start(ctx)
	}
	if err != nil {
		return s.dataError(err)
	}
	return nil
}

// tableService is DynamoDB on the shared port.
func (s *Server) tableService(r *rooms) wire.Service {
	return dynamodb.Service(wire.Lazy(func() http.Handler {
		return dynamodb.New(dynamodb.Options{Tables: r.tables, Log: s.log.With("room", "api/dynamodb")})
	}))
}
