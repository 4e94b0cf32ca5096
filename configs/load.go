package configs

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/callwheel/callwheel"
)

// Load reads the settings: defaults, the file ("" for none), the environment
// (as os.Environ gives it), and the flags that were given (key → value). It
// returns one error of kind Invalid that lists every problem and says where the
// value stands: in the file, in the environment or in a flag. A file that cannot
// be read is the only problem then, as nobody knows what it says.
func Load(path string, environ []string, flags map[string]any) (Config, error) {
	l := loading{given: map[string]given{}}
	if err := l.read(path, environ, flags); err != nil {
		return Config{}, err
	}
	cfg := Defaults()
	bad := l.decode(&cfg)
	cfg.complete()
	bad = append(bad, l.validate(cfg, bad)...)
	if len(bad) > 0 {
		return Config{}, &callwheel.Error{Kind: callwheel.Invalid, Message: "settings", Fields: bad}
	}
	return cfg, nil
}

// loading is what the file, the environment and the flags say, each over the one
// before.
type loading struct {
	given map[string]given // by key, also keys that no setting has
}

// given is a value and where an operator finds it.
type given struct {
	value any
	where string
}

func (l *loading) read(path string, environ []string, flags map[string]any) error {
	if path != "" {
		if err := l.add(file.Provider(path), yaml.Parser(), func(key string) string { return filepath.Base(path) + ":" + key }); err != nil {
			return callwheel.Errorf(callwheel.Invalid, "read %s: %w", path, err)
		}
	}
	if err := l.add(environment(environ), nil, envName); err != nil {
		return callwheel.Errorf(callwheel.Invalid, "read environment: %w", err)
	}
	if err := l.add(confmap.Provider(flags, "."), nil, flagName); err != nil {
		return callwheel.Errorf(callwheel.Invalid, "read flags: %w", err)
	}
	return nil
}

func (l *loading) add(from koanf.Provider, parser koanf.Parser, where func(key string) string) error {
	k := koanf.New(".")
	if err := k.Load(from, parser); err != nil {
		return err
	}
	for key, value := range k.All() {
		l.given[key] = given{value, where(key)}
	}
	return nil
}

// environment gives the environment names that are settings.
func environment(environ []string) koanf.Provider {
	known := Keys()
	return env.Provider(".", env.Opt{
		Prefix:      "CALLWHEEL_",
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, ok := known[name]
			if !ok {
				return "", nil
			}
			if key == "api.trusted_proxies" {
				return key, splitList(value)
			}
			return key, value
		},
	})
}

// flagName is the flag of a key.
func flagName(key string) string {
	return "--" + strings.NewReplacer("_", "-", ".", "-").Replace(key)
}

// decode puts the given values into their fields and returns what is wrong with
// those that have none or do not fit.
func (l *loading) decode(cfg *Config) []callwheel.FieldError {
	fields := cfg.fields()
	var bad []callwheel.FieldError
	for _, key := range slices.Sorted(maps.Keys(l.given)) {
		one := l.given[key]
		field, known := fields[key]
		switch {
		case !known && one.value == nil && isSection(fields, key): // a heading with nothing below
		case !known:
			bad = append(bad, callwheel.FieldError{Field: key, Message: "is no setting (" + one.where + ")"})
		default:
			if message := put(field, one.value); message != "" {
				bad = append(bad, callwheel.FieldError{Field: key, Message: message + " (" + one.where + ")"})
			}
		}
	}
	return bad
}

func isSection(fields map[string]reflect.Value, name string) bool {
	for key := range fields {
		if strings.HasPrefix(key, name+".") {
			return true
		}
	}
	return false
}

// put sets a field to a value, or says what the value should have been. It does
// not repeat the value, which may be a secret.
func put(field reflect.Value, value any) (message string) {
	if value == nil { // a key with nothing behind it leaves the default
		return ""
	}
	_, duration := field.Interface().(time.Duration)
	if _, text := value.(string); duration && !text && value != any(0) {
		return wants(field)
	}
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           field.Addr().Interface(),
		WeaklyTypedInput: true,
		DecodeHook:       mapstructure.StringToTimeDurationHookFunc(),
	})
	if err != nil {
		return err.Error()
	}
	if d.Decode(value) != nil {
		return wants(field)
	}
	return ""
}

// wants says what a field takes.
func wants(field reflect.Value) string {
	switch field.Interface().(type) {
	case time.Duration:
		return "must be a length of time with its unit, such as 300ms or 24h"
	case int:
		return "must be a whole number"
	case []string:
		return "must be a list of texts"
	}
	return "must be a text"
}

// validate returns what Validate finds beside the problems that are known, with
// the places of the values.
func (l *loading) validate(cfg Config, known []callwheel.FieldError) []callwheel.FieldError {
	var e *callwheel.Error
	if !errors.As(cfg.Validate(), &e) {
		return nil
	}
	var list []callwheel.FieldError
	for _, f := range e.Fields {
		if !slices.ContainsFunc(known, func(k callwheel.FieldError) bool { return k.Field == f.Field }) {
			f.Message = fmt.Sprintf("%s (%s)", f.Message, l.places(f.Field))
			list = append(list, f)
		}
	}
	return list
}

// places says where the values of a key, or of a group of keys, stand.
func (l *loading) places(name string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(l.given)) {
		if key == name || strings.HasPrefix(key, name+".") {
			list = append(list, l.given[key].where)
		}
	}
	if len(list) == 0 {
		return envName(name) + " is not set"
	}
	return strings.Join(list, ", ")
}

func splitList(text string) []string {
	list := []string{}
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
