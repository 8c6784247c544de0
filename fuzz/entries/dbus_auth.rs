//! Authentication: how the bytes are cut makes no difference, and memory is bounded.

use softwarecontainer_dbus_proxy::sasl::{AuthError, ClientAuth, Progress, ServerAuth};

type Outcome = Result<Option<usize>, AuthError>;

fn feed_all(
    data: &[u8],
    chunk: usize,
    feed: &mut dyn FnMut(&[u8]) -> Result<Progress, AuthError>,
) -> Outcome {
    let mut used = 0;
    for part in data.chunks(chunk) {
        match feed(part)? {
            Progress::Wait => used += part.len(),
            Progress::Done(last) => return Ok(Some(used + last)),
        }
    }
    Ok(None)
}

/// One execution.
pub fn run(input: &[u8]) {
    let [chunk, unix_fds, data @ ..] = input else {
        return;
    };
    let (chunk, unix_fds) = (*chunk, unix_fds % 2 == 1);
    let mut outcomes = Vec::new();
    for chunk in [usize::from(chunk).max(1), data.len().max(1)] {
        let (mut server, mut client) = (
            ServerAuth::new("0123456789abcdef0123456789abcdef"),
            ClientAuth::new(unix_fds),
        );
        let mut reply = Vec::new();
        let served = feed_all(data, chunk, &mut |part| server.feed(part, &mut reply));
        // A few failed commands, each of which may be shorter than its answer.
        assert!(reply.len() <= data.len() * 2 + 512);
        if let Ok(Some(used)) = served {
            assert!(data[..used].ends_with(b"BEGIN\r\n"));
            assert!(reply.windows(3).any(|window| window == b"OK "));
        }
        let greeted = feed_all(data, chunk, &mut |part| client.feed(part));
        outcomes.push((served, server.unix_fds(), reply, greeted));
    }
    assert_eq!(outcomes[0], outcomes[1]);
}
