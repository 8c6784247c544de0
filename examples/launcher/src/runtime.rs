//! zbus on smol: one thread runs the bus connection and the launcher alike.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::{Async, Executor, Timer};
use zbus::runtime::traits::{PollIo, Runtime, TaskHandle};
use zbus::runtime::{Interest, IoSource};

/// An executor that a bus connection can be built on.
#[derive(Clone)]
pub struct Smol(Arc<Executor<'static>>);

impl Smol {
    /// An executor without tasks.
    pub fn new() -> Self {
        Self(Arc::new(Executor::new()))
    }

    /// Runs a future and all tasks on this thread until the future is done.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        smol::block_on(self.0.run(future))
    }

    /// Starts a task; dropping what is returned cancels it.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> smol::Task<T> {
        self.0.spawn(future)
    }
}

impl Runtime for Smol {
    type RegisteredIoSource = Source;
    type Sleep = Sleep;
    type Task<T>
        = Handle<T>
    where
        T: Send + 'static;

    fn register_io_source(&self, source: IoSource) -> io::Result<Source> {
        Async::new(source).map(Source)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep(Timer::after(duration))
    }

    fn spawn<T>(&self, _name: &str, future: impl Future<Output = T> + Send + 'static) -> Handle<T>
    where
        T: Send + 'static,
    {
        Handle(self.0.spawn(future))
    }

    async fn connect_tcp(&self, address: SocketAddr) -> io::Result<IoSource> {
        let stream = Async::<std::net::TcpStream>::connect(address).await?;
        Ok(OwnedFd::from(stream.into_inner()?).into())
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<IoSource> {
        let stream = Async::<std::os::unix::net::UnixStream>::connect(path).await?;
        Ok(OwnedFd::from(stream.into_inner()?).into())
    }

    fn spawn_process(
        &self,
        _command: Command,
        _stdin: Stdio,
        _stdout: Stdio,
        _stderr: Stdio,
    ) -> io::Result<Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'static>>> {
        // Only `unixexec:` addresses would need it.
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A socket in smol's reactor.
pub struct Source(Async<IoSource>);

impl PollIo for Source {
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            let ready = match interest {
                Interest::Writable => self.0.poll_writable(cx),
                _ => self.0.poll_readable(cx),
            };
            match ready {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A timer without the instant it yields.
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

/// A task of the connection's.
pub struct Handle<T>(smol::Task<T>);

impl<T> Future for Handle<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}

impl<T: Send + 'static> TaskHandle<T> for Handle<T> {
    fn detach(self) {
        self.0.detach();
    }
}
