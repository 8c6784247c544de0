//! How long the answer for a name may be remembered: asked of the host's name servers, which have
//! answered the same question a moment before.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::message::{A, AAAA, Reply, question, reply};
use crate::name_servers::{RESOLV_CONF, server};

/// How long a name server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// MAXNS of resolv.conf(5).
const MOST_SERVERS: usize = 3;
/// MAXDNSRCH, up to which the C library has counted.
const MOST_DOMAINS: usize = 6;
/// The largest message over UDP without extensions; what is longer is cut off by the server.
const LONGEST_MESSAGE: usize = 512;
const PORT: u16 = 53;

/// How long what `name` stands for may be remembered; `None` if no name server tells: the name is
/// in hosts(5), for example. Blocks for some seconds where none answers.
pub(super) fn of(name: &str) -> Option<Duration> {
    // Without the file a server on this host is asked, as resolv.conf(5) says.
    let text = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let resolver = Resolver::parse(&text);
    for name in resolver.candidates(name) {
        let mut shortest: Option<u32> = None;
        for kind in [A, AAAA] {
            // A server that is silent now is so for the next name as well.
            if let Reply::Lives(lives) = resolver.ask(&name, kind)? {
                shortest = Some(shortest.map_or(lives, |other| other.min(lives)));
            }
        }
        if let Some(shortest) = shortest {
            return Some(Duration::from_secs(shortest.into()));
        }
    }
    None
}

/// What of resolv.conf(5) matters here.
#[derive(Debug, PartialEq, Eq)]
struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    /// A name with so many dots is tried as it is at first.
    dots: usize,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: text.lines().filter_map(server).take(MOST_SERVERS).collect(),
            search: Vec::new(),
            dots: 1,
        };
        if found.servers.is_empty() {
            found.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                // The last line counts.
                Some("search" | "domain") => {
                    found.search = words.take(MOST_DOMAINS).map(str::to_owned).collect();
                }
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    found.dots = dots.unwrap_or(found.dots);
                }
                _ => {}
            }
        }
        found
    }

    /// The names that `name` may stand for, in the order in which they are tried.
    fn candidates(&self, name: &str) -> Vec<String> {
        let as_it_is = name.to_owned();
        let searched = self.search.iter().map(|domain| format!("{name}.{domain}"));
        if name.matches('.').count() >= self.dots {
            std::iter::once(as_it_is).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(as_it_is)).collect()
        }
    }

    /// What the first server says that answers; `None` if none does.
    fn ask(&self, name: &str, kind: u16) -> Option<Reply> {
        self.servers
            .iter()
            .find_map(|server| ask(SocketAddr::new(*server, PORT), name, kind))
    }
}

fn ask(server: SocketAddr, name: &str, kind: u16) -> Option<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // From then on the kernel drops what others send.
    socket.connect(server).ok()?;
    // What cannot be guessed is the kernel's choice of the port, and all that hangs on the answer
    // is when the name is looked up again.
    let id = socket.local_addr().ok()?.port().rotate_left(8);
    let question = question(id, name, kind)?;
    socket.send(&question).ok()?;
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; LONGEST_MESSAGE];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // A time of zero would mean for ever.
        socket
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .ok()?;
        let length = socket.recv(&mut buffer).ok()?;
        match reply(buffer.get(..length)?, &question) {
            Reply::Foreign if Instant::now() >= end => return None,
            Reply::Foreign => {}
            found => return Some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_domains_and_dots_are_read_and_what_else_there_is_is_not() {
        let text = "# mine\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
                    domain other.example\nsearch a.example b.example\noptions rotate ndots:2 edns0\n";
        let found = Resolver::parse(text);
        let servers: Vec<String> = found.servers.iter().map(IpAddr::to_string).collect();
        assert_eq!(servers, ["192.0.2.1", "fe80::1", "2001:db8::1"]);
        assert_eq!(
            found.candidates("x.y"),
            ["x.y.a.example", "x.y.b.example", "x.y"]
        );
        assert_eq!(found.candidates("x.y.z")[0], "x.y.z");
        assert_eq!(Resolver::parse("").servers, [Ipv4Addr::LOCALHOST]);
        assert_eq!(Resolver::parse("").candidates("router"), ["router"]);
    }

    #[test]
    fn the_answer_of_a_server_is_told_apart_from_what_else_comes() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let answers = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let mut message = buffer[..length].to_vec();
            server.send_to(b"nonsense", from).unwrap();
            // One record: a pointer, its type and class, a time to live of 77 s, an address.
            message[2] |= 0x80;
            message[7] = 1;
            message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x4d\0\x04\xc0\0\x02\x01");
            server.send_to(&message, from).unwrap();
        });
        assert_eq!(ask(at, "maps.example.org", A), Some(Reply::Lives(77)));
        answers.join().unwrap();
        assert_eq!(ask(at, "maps.example.org", A), None, "nobody is there");
    }
}
