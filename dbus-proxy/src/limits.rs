//! What one container may make the proxy hold. Every queue and table of the proxy is bounded by one
//! of these.

use std::time::Duration;

/// Largest message, header and body, in bytes (D-Bus specification, "Message Protocol").
pub const MESSAGE: usize = 128 * 1024 * 1024;
/// Largest array in bytes (D-Bus specification, "Marshaling").
pub const ARRAY: usize = 64 * 1024 * 1024;
/// Largest array of header fields, in bytes, of a message that may pass. Real headers stay under
/// one KiB, and a header is the part of a message that the proxy has to hold as a whole.
pub const HEADER_FIELDS: usize = 64 * 1024;
/// Largest body of a call to the bus driver that the proxy has to understand (`AddMatch`), in
/// bytes.
pub const DRIVER_BODY: usize = 16 * 1024;
/// Largest body of an answer of the bus driver that the proxy has to understand (`ListNames`), in
/// bytes: some ten thousand names.
pub const DRIVER_ANSWER: usize = 512 * 1024;
/// Names of others that a connection is known to have to do with; the oldest are forgotten.
pub const KNOWN_NAMES: usize = 512;
/// Descriptors that may travel with one message, which is also what one sendmsg(2) takes
/// (SCM_MAX_FD).
pub const MESSAGE_FDS: usize = 253;
/// Bytes read from a socket at a time, and so what one direction of a connection may queue beside
/// its replies.
pub const READ: usize = 64 * 1024;
/// Bytes of AccessDenied answers that may wait for a client that does not read; above it, it is not
/// read from.
pub const WAITING_REPLIES: usize = 64 * 1024;
/// Calls of one connection, per direction, that may wait for their replies, unless the agent says
/// otherwise. What system buses allow a connection, too (`max_replies_per_connection` of
/// dbus-daemon(1)).
pub const PENDING_CALLS: u32 = 128;
/// Connections of one container, over both buses, unless the agent says less. dbus-daemon's own
/// default for one user.
pub const CONNECTIONS: u32 = 256;
/// Connections of one container that have not finished their authentication.
pub const UNAUTHENTICATED: usize = 32;
/// Descriptors that the proxy may have open.
pub const OPEN_FILES: u64 = 2048;
/// Longest line of the authentication protocol in bytes, as in libdbus.
pub const AUTH_LINE: usize = 16 * 1024;
/// Failed commands after which an authentication is given up, as in libdbus.
pub const AUTH_FAILURES: u32 = 6;
/// Time for a client to authenticate.
pub const AUTH_TIME: Duration = Duration::from_secs(30);
/// Time for a bus whose backlog is full to accept a connection.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time between two attempts to connect to such a bus.
pub const CONNECT_RETRY: Duration = Duration::from_millis(5);
/// Time for the last bytes of a closed connection to be taken by the other side.
pub const LINGER_TIME: Duration = Duration::from_secs(5);
/// Time for which no connection is accepted when no descriptor was free.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of data memory (RLIMIT_DATA) of the whole process.
pub const MEMORY: u64 = 128 * 1024 * 1024;
/// Longest line of the control protocol in bytes.
pub const CONTROL_LINE: usize = 64 * 1024;
