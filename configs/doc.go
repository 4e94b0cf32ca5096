// Package configs reads the settings of the program: defaults, then a YAML
// file, then the environment, then flags, each over the one before. It reports
// every problem at once, with the place where the value came from, so that an
// operator fixes a bad file in one go.
//
// Rooms keep their own settings with their own defaults; this package only
// composes them. callwheel.example.yaml documents every key, and a test proves
// that it says what the defaults are.
package configs
