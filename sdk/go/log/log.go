// Package log writes lines for the operator's log. It never fails; the host takes at most 1,000 lines of 4 KiB per invocation.
//
// Arguments after the message are alternating keys and values, as log/slog takes them:
//
//	log.Info(ctx, "read the parts", "count", len(parts), "file", name)
//
// In a component log/slog and Go's own log reach the operator's log too, so that libraries need no change.
package log

import (
	"context"
	"log/slog"

	"ringfence/internal/host"
)

// Level says how serious a line is.
type Level uint8

// The levels.
const (
	LevelTrace Level = Level(host.Trace)
	LevelDebug Level = Level(host.Debug)
	LevelInfo  Level = Level(host.Info)
	LevelWarn  Level = Level(host.Warn)
	LevelError Level = Level(host.Error)
)

func (level Level) String() string {
	return [...]string{"trace", "debug", "info", "warn", "error"}[min(level, LevelError)]
}

// Write writes one line.
func Write(ctx context.Context, level Level, message string, args ...any) {
	host.Log(ctx, uint8(level), message, host.Fields(args))
}

// Trace writes a line of level trace.
func Trace(ctx context.Context, message string, args ...any) {
	Write(ctx, LevelTrace, message, args...)
}

// Debug writes a line of level debug.
func Debug(ctx context.Context, message string, args ...any) {
	Write(ctx, LevelDebug, message, args...)
}

// Info writes a line of level info.
func Info(ctx context.Context, message string, args ...any) { Write(ctx, LevelInfo, message, args...) }

// Warn writes a line of level warn.
func Warn(ctx context.Context, message string, args ...any) { Write(ctx, LevelWarn, message, args...) }

// Error writes a line of level error.
func Error(ctx context.Context, message string, args ...any) {
	Write(ctx, LevelError, message, args...)
}

// Handler is the operator's log as a handler of log/slog. In a component it is the default.
func Handler() slog.Handler { return host.Handler{} }
