package main

import (
	"io"
	"log/slog"

	"github.com/callwheel/callwheel/configs"
)

// newLog makes the program's log. The levels and formats are those that the
// settings allow.
func newLog(cfg configs.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
