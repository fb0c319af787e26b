package host

import (
	"context"
	"fmt"
	"log/slog"
)

// Handler gives the lines of log/slog, and with it those of log, to the operator's log.
type Handler struct {
	fields []Field
	group  string
}

// Enabled lets every line pass: the host chooses.
func (Handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle writes one line.
func (h Handler) Handle(ctx context.Context, record slog.Record) error {
	fields := append([]Field(nil), h.fields...)
	record.Attrs(func(attr slog.Attr) bool {
		fields = appendAttr(fields, h.group, attr)
		return true
	})
	Log(ctx, level(record.Level), record.Message, fields)
	return nil
}

// WithAttrs adds fields to every line.
func (h Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := append([]Field(nil), h.fields...)
	for _, attr := range attrs {
		fields = appendAttr(fields, h.group, attr)
	}
	return Handler{fields: fields, group: h.group}
}

// WithGroup puts a name before the names of the fields that follow.
func (h Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return Handler{fields: h.fields, group: h.group + name + "."}
}

// Fields makes fields of alternating keys and values, as log/slog takes them.
func Fields(args []any) []Field {
	var record slog.Record
	record.Add(args...)
	var fields []Field
	record.Attrs(func(attr slog.Attr) bool {
		fields = appendAttr(fields, "", attr)
		return true
	})
	return fields
}

func appendAttr(fields []Field, group string, attr slog.Attr) []Field {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			group += attr.Key + "."
		}
		for _, inner := range value.Group() {
			fields = appendAttr(fields, group, inner)
		}
		return fields
	}
	if attr.Key == "" {
		return fields
	}
	return append(fields, Field{Key: group + attr.Key, Value: fmt.Sprint(value.Any())})
}

func level(level slog.Level) uint8 {
	switch {
	case level < slog.LevelDebug:
		return Trace
	case level < slog.LevelInfo:
		return Debug
	case level < slog.LevelWarn:
		return Info
	case level < slog.LevelError:
		return Warn
	}
	return Error
}
