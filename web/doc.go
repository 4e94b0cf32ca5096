// Package web is what a person's browser gets from us: the sign-in page, the
// dashboard and the page that shows the API. It holds files and imports nothing
// of ours.
//
// Everything is embedded and served from this server; no page loads anything
// from elsewhere, so all of it works offline. [Policy] is the content security
// policy of every page: scripts, styles and requests of our own origin only, no
// inline script, no inline style, no frames. The dashboard's script is an
// ordinary client of the public API and writes what it gets as text, never as
// HTML.
package web
