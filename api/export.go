package api

import (
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
)

// whole is a list that is written as it is read, however long it is: it calls
// yield with every item. Only exports have one; see page.whole.
type whole func(yield func(item any) error) error

// exporter is a body that may be a whole list.
type exporter interface{ export() whole }

func (p page[T]) export() whole { return p.whole }

// streamed is an answer that is written while it is made.
type streamed func(w io.Writer) error

// streamList writes a whole list in the form that was asked for. A failure on
// the way breaks the connection off: a table that ends early must not look
// complete.
func (s *Server) streamList(ctx huma.Context, o *operation, kind form, names []string, list whole) streamed {
	header := selectHeader(o.header, names)
	row := (*lineWriter).ndjson
	if kind == asCSV {
		setCSV(ctx, o)
		row = (*lineWriter).csv
	} else {
		ctx.SetHeader("Content-Type", "application/x-ndjson")
	}
	conn := http.NewResponseController(humaecho.UnwrapV4(ctx).Response())
	return func(w io.Writer) error {
		w = &patientWriter{w, conn}
		out := &lineWriter{out: w, table: csv.NewWriter(w), header: header}
		out.table.UseCRLF = true
		if kind == asCSV {
			out.table.Write(header) //nolint:errcheck // Flush tells
		}
		err := list(func(item any) error {
			text, err := marshal(item)
			if err != nil {
				return err
			}
			parsed, err := parseObject(text)
			if err != nil {
				return err
			}
			return row(out, parsed.only(names))
		})
		out.table.Flush()
		if err != nil {
			s.log.WarnContext(ctx.Context(), "export broken off", "operation", o.ID, "error", err)
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// exportPatience is how long a reader of an export may take none of it.
const exportPatience = time.Minute

// patientWriter lets an answer take as long as its reader goes on reading.
type patientWriter struct {
	io.Writer
	conn *http.ResponseController
}

func (w *patientWriter) Write(b []byte) (int, error) {
	err := w.conn.SetWriteDeadline(time.Now().Add(exportPatience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.Writer.Write(b)
}

func setCSV(ctx huma.Context, o *operation) {
	ctx.SetHeader("Content-Type", "text/csv; charset=utf-8; header=present")
	ctx.SetHeader("Content-Disposition", `attachment; filename="`+o.ID+`.csv"`)
}

type lineWriter struct {
	out    io.Writer
	table  *csv.Writer
	header []string
}

func (l *lineWriter) ndjson(item object) error {
	_, err := l.out.Write(append(item.json(), '\n'))
	return err
}

// csv writes one row below a header that is written already.
func (l *lineWriter) csv(item object) error {
	if err := l.table.Write(record(item, l.header)); err != nil {
		return err
	}
	l.table.Flush()
	return l.table.Error()
}
