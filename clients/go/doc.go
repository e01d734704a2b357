// Package rke is a client of the rke daemon, which opens sessions with Content Servers, keeps their keys,
// and encrypts, decrypts, seals and opens data with them. No key leaves the daemon.
//
// A [Client] knows where a daemon is. [Client.Open] opens a [Session]; its methods work on data that is all
// there, or on an [io.Reader] of any length. [Session.Tunnel] talks to the Content Server. [Session.Close] ends the
// session, and its key is wiped at both ends: what was sealed or encrypted in it cannot be read again.
//
// Errors are sorted by what a caller can do about them: errors.Is with [ErrNotFound], [ErrLimit] and the
// others, errors.As with [*Error] for the daemon's response.
package rke
