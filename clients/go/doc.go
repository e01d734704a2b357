// Package rke is a client of the rke daemon, which opens sessions with Content Servers, keeps their keys,
// and encrypts, decrypts, seals and opens data with them. No key leaves the daemon.
//
// A [Client] knows where a daemon is. [Client.Open] opens a [Session]; its methods work on data that is all
// there, or on an [io.Reader] of any length. [Session.Close] ends the session, and its key is wiped.
//
// Errors are sorted by what a caller can do about them: errors.Is with [ErrNotFound], [ErrLimit] and the
// others, errors.As with [*Error] for what the daemon has answered.
package rke
