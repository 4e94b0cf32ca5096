// Package storetest gives a test a migrated, empty database of its own, once
// per kind of database: SQLite always, PostgreSQL when TEST_POSTGRES_URL names
// a server where databases may be created.
//
// A test that touches SQL is written once and runs in [Each]; a test that
// starts the whole program takes the address from [EachURL]. Migrating happens
// once per test program: SQLite files are copies of a migrated file, PostgreSQL
// databases of a template whose name carries the hash of the migrations.
package storetest
