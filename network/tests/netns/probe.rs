//! Servers and clients with real packets between namespaces.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Namespace;

/// How long a packet may take that arrives at all; one that does not costs this much time.
const PATIENCE: Duration = Duration::from_millis(400);

/// A server for TCP and UDP on one port; it answers with the address that it sees the client at.
pub struct Echo {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    /// Starts to serve at all addresses of the namespace, IPv4 and IPv6.
    pub fn start(namespace: &Namespace, port: u16) -> Self {
        let any = SocketAddr::new("::".parse::<IpAddr>().unwrap(), port);
        let (tcp, udp) = namespace.run(|| {
            (
                TcpListener::bind(any).unwrap(),
                UdpSocket::bind(any).unwrap(),
            )
        });
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_tcp, stop_udp) = (stop.clone(), stop.clone());
        let tcp = std::thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((mut stream, peer)) => drop(write!(stream, "{}", peer.ip().to_canonical())),
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        let udp = std::thread::spawn(move || {
            while !stop_udp.load(Ordering::Relaxed) {
                if let Ok((_, peer)) = udp.recv_from(&mut [0; 64]) {
                    let _ = udp.send_to(peer.ip().to_canonical().to_string().as_bytes(), peer);
                }
            }
        });
        Self {
            stop,
            threads: vec![tcp, udp],
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Swallows what one client sends over TCP, and measures how fast it comes.
pub struct Sink(TcpListener);

impl Sink {
    const WARM_UP: Duration = Duration::from_millis(1500);
    const DURATION: Duration = Duration::from_secs(6);

    /// Listens at all addresses of the namespace.
    pub fn start(namespace: &Namespace, port: u16) -> Self {
        let any = SocketAddr::new("::".parse::<IpAddr>().unwrap(), port);
        Self(namespace.run(|| TcpListener::bind(any).unwrap()))
    }

    /// Waits for the client and returns what arrives after the first moments, in bits per second.
    pub fn rate(&self) -> f64 {
        let (mut receiver, _) = self.0.accept().unwrap();
        let start = Instant::now();
        let (mut bytes, mut counted_from) = (0, None);
        let mut block = vec![0; 256 * 1024];
        while start.elapsed() < Self::WARM_UP + Self::DURATION {
            let length = receiver.read(&mut block).unwrap();
            assert!(length > 0, "the client has closed");
            match counted_from {
                None if start.elapsed() >= Self::WARM_UP => counted_from = Some(Instant::now()),
                None => {}
                Some(_) => bytes += length,
            }
        }
        let seconds = counted_from.unwrap().elapsed().as_secs_f64();
        f64::from(u32::try_from(bytes / 1024).unwrap()) * 1024.0 * 8.0 / seconds
    }
}

impl Namespace {
    /// The address that an [`Echo`] sees us at over TCP; `None` if it is not reached.
    pub fn tcp(&self, to: &str, port: u16) -> Option<IpAddr> {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        self.run(|| {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            text.parse().ok()
        })
    }

    /// The address that an [`Echo`] sees us at over UDP; `None` if it does not answer.
    pub fn udp(&self, to: &str, port: u16) -> Option<IpAddr> {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        self.run(|| {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).ok()?;
            socket.set_read_timeout(Some(PATIENCE)).ok()?;
            socket.send_to(b"?", to).ok()?;
            let mut buffer = [0; 64];
            let (length, _) = socket.recv_from(&mut buffer).ok()?;
            std::str::from_utf8(&buffer[..length]).ok()?.parse().ok()
        })
    }

    /// Whether one ping is answered.
    pub fn ping(&self, to: &str) -> bool {
        self.try_run(&format!("ping -c 1 -W 0.5 {to}"))
            .status
            .success()
    }
}
