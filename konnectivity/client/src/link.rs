//! Settings of the HTTP/2 connections that tunnels run on, the same at both ends.

use crate::packet::DATA_HEAD_BYTES_MAX;

/// Bytes of one stream that may be under way unread. This bounds what a slow reader costs.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// The same of a stream that comes to many others. They keep a member busy together, and each of them less.
const CROWDED_WINDOW_BYTES: u32 = 64 * 1024;

/// So many streams are many.
const CROWD: usize = 8;

/// The connection as a whole has no bound of its own: it would let one slow reader stall the others. What binds is
/// [`STREAM_WINDOW_BYTES`] times [`STREAMS_MAX`].
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// Streams of one connection.
pub const STREAMS_MAX: u32 = 16_384;

/// A frame holds one read of a socket with its head, so that it is not cut.
const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// Bytes of one stream that wait to be written to the socket.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The same at a server, whose one connection to an agent carries all streams: there each waits for the others.
const SHARED_SEND_BUFFER_BYTES: usize = 32 * 1024;

/// Bytes of one message's metadata.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Streams that were reset and are remembered, so that frames under way to them are known to be late.
const RESET_STREAMS_MAX: usize = 1024;

/// Bytes of one read of a socket. With the heads of a packet and a frame they are a block of 32 KiB, two of them one of 64: the
/// allocator's next size is a quarter larger.
pub const READ_BYTES: usize = 32 * 1024 - 64;

// What [`poll_room`](crate::stream::poll_room) waits for comes: of a window two thirds are there again once all was read, and of
// the room for what is sent all. A window holds two whole messages, so that one is read while the next comes.
const MESSAGE_BYTES: usize = READ_BYTES + DATA_HEAD_BYTES_MAX;
const _: () =
    assert!(MESSAGE_BYTES <= SHARED_SEND_BUFFER_BYTES && 3 * MESSAGE_BYTES <= 2 * CROWDED_WINDOW_BYTES as usize);
const _: () = assert!(2 * MESSAGE_BYTES <= CROWDED_WINDOW_BYTES as usize);

/// Bytes that are read ahead of the TLS between server and agent, which by itself asks its socket for 4 KiB at a time.
pub const READ_AHEAD_BYTES: usize = 32 * 1024;

/// A client's connection.
#[must_use]
pub fn client() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(None);
    builder
}

/// A server's connection. `beside` are the streams that it carries already, on connections of their own.
#[must_use]
pub fn server(beside: usize) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(if beside < CROWD { STREAM_WINDOW_BYTES } else { CROWDED_WINDOW_BYTES })
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buffer_size(SHARED_SEND_BUFFER_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_concurrent_reset_streams(RESET_STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(None);
    builder
}
