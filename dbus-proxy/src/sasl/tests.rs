use super::*;

const GUID: &str = "0123456789abcdef0123456789abcdef";

fn feed(auth: &mut ServerAuth, input: &str) -> (Result<Progress, AuthError>, String) {
    let mut reply = Vec::new();
    let progress = auth.feed(input.as_bytes(), &mut reply);
    (progress, String::from_utf8(reply).unwrap())
}

#[test]
fn a_client_that_sends_everything_at_once_is_let_in() {
    let input = "\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nlmessage";
    let (progress, reply) = feed(&mut ServerAuth::new(GUID), input);
    assert_eq!(progress, Ok(Progress::Done(input.len() - "lmessage".len())));
    assert_eq!(reply, format!("OK {GUID}\r\nAGREE_UNIX_FD\r\n"));
}

#[test]
fn a_client_that_sends_single_bytes_is_let_in() {
    let mut auth = ServerAuth::new(GUID);
    let input = "\0AUTH\r\nAUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    let (last, rest) = (&input[input.len() - 1..], &input[..input.len() - 1]);
    let mut replies = String::new();
    for byte in rest.chars() {
        let (progress, reply) = feed(&mut auth, &byte.to_string());
        assert_eq!(progress, Ok(Progress::Wait));
        replies += &reply;
    }
    assert_eq!(feed(&mut auth, last).0, Ok(Progress::Done(1)));
    assert_eq!(
        replies,
        format!("REJECTED EXTERNAL\r\nDATA\r\nOK {GUID}\r\n")
    );
}

#[test]
fn other_mechanisms_are_rejected_and_external_still_works() {
    let mut auth = ServerAuth::new(GUID);
    let (_, reply) = feed(
        &mut auth,
        "\0AUTH DBUS_COOKIE_SHA1 30\r\nAUTH ANONYMOUS\r\n",
    );
    assert_eq!(reply, "REJECTED EXTERNAL\r\nREJECTED EXTERNAL\r\n");
    let (_, reply) = feed(
        &mut auth,
        "AUTH EXTERNAL zz\r\nAUTH EXTERNAL\r\nDATA 30\r\n",
    );
    assert_eq!(reply, format!("REJECTED EXTERNAL\r\nDATA\r\nOK {GUID}\r\n"));
}

#[test]
fn begin_takes_no_argument() {
    let mut auth = ServerAuth::new(GUID);
    let (progress, reply) = feed(&mut auth, "\0AUTH EXTERNAL 30\r\nBEGIN now\r\n");
    assert_eq!(progress, Ok(Progress::Wait));
    assert!(reply.contains("ERROR"), "{reply}");
}

#[test]
fn a_client_that_breaks_the_protocol_is_disconnected() {
    let fails = |input: &str| feed(&mut ServerAuth::new(GUID), input).0.unwrap_err();
    assert_eq!(fails("AUTH EXTERNAL\r\n"), AuthError::NoNul);
    assert_eq!(fails("\0BEGIN\r\n"), AuthError::BeginTooEarly);
    assert_eq!(
        fails("\0AUTH EXTERNAL\r\nBEGIN\r\n"),
        AuthError::BeginTooEarly
    );
    assert_eq!(
        fails(&("\0".to_owned() + &"A".repeat(20_000))),
        AuthError::LongLine
    );
    assert_eq!(
        fails(&("\0".to_owned() + &"AUTH\r\n".repeat(20))),
        AuthError::TooManyFailures
    );
    assert_eq!(
        fails(&("\0".to_owned() + &"\r\n".repeat(20))),
        AuthError::TooManyFailures
    );
}

#[test]
fn the_bus_is_told_the_uid_in_decimal_as_hexadecimal() {
    assert_eq!(greeting(0, false), b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n");
    assert_eq!(
        greeting(1000, true),
        b"\0AUTH EXTERNAL 31303030\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
    );
}

#[test]
fn answers_of_the_bus_are_read_up_to_its_first_message() {
    let input = b"OK 0123\r\nAGREE_UNIX_FD\r\nl";
    assert_eq!(
        ClientAuth::new(false).feed(b"OK 0123\r\nl"),
        Ok(Progress::Done(9))
    );
    assert_eq!(
        ClientAuth::new(true).feed(input),
        Ok(Progress::Done(input.len() - 1))
    );
    let mut auth = ClientAuth::new(true);
    assert_eq!(auth.feed(b"OK 01"), Ok(Progress::Wait));
    assert_eq!(
        auth.feed(b"23\r\nERROR nonsense\r\n"),
        Ok(Progress::Done(20))
    );
    assert_eq!(
        ClientAuth::new(true).feed(b"REJECTED EXTERNAL\r\n"),
        Err(AuthError::Rejected)
    );
    assert_eq!(
        ClientAuth::new(true).feed(b"HTTP/1.1\r\n"),
        Err(AuthError::UnexpectedReply)
    );
}
