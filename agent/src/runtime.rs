//! smol as the runtime of the D-Bus connection, so that one thread serves the bus and everything
//! else.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    pin::Pin,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use smol::{Async, Executor, Timer};
use zbus::runtime::{Interest, IoSource, traits};

/// Does work that blocks in a thread of its own.
///
/// smol's own pool keeps its threads once it has them, and each of them wakes up twice a second; an
/// agent that made fifty containers at once would hold fifty stacks for ever. A thread costs less
/// than anything that is done here.
pub async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = smol::channel::bounded(1);
    // Shared, so that the work is not lost with a thread that cannot be started.
    let work = Arc::new(Mutex::new(Some(work)));
    let perform = {
        let work = work.clone();
        move || {
            let taken = work.lock().ok().and_then(|mut work| work.take());
            if let Some(work) = taken {
                // The receiver is gone when nobody waits for the outcome any more.
                let _ = sender.try_send(work());
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(perform);
    match (receiver.recv().await, thread) {
        (Ok(outcome), _) => outcome,
        (Err(_), Ok(thread)) => match thread.join() {
            Err(payload) => std::panic::resume_unwind(payload),
            // Unreachable: a thread that ends without panicking has sent the outcome.
            Ok(()) => std::future::pending().await,
        },
        (Err(_), Err(error)) => {
            log::warn!("no thread can be started ({error}); waiting for one of the pool");
            let left = work.lock().ok().and_then(|mut work| work.take());
            match left {
                Some(work) => smol::unblock(work).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// The agent's executor, as zbus uses it.
#[derive(Debug, Clone)]
pub struct SmolRuntime(pub Arc<Executor<'static>>);

/// A socket of the connection, watched by smol's reactor.
#[derive(Debug)]
pub struct Watched(Async<IoSource>);

impl traits::PollIo for Watched {
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(match interest {
                Interest::Writable => self.0.poll_writable(cx),
                _ => self.0.poll_readable(cx),
            })?;
        }
    }
}

/// A timer of the connection.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

/// A task of the connection; dropping it cancels it.
#[derive(Debug)]
pub struct Task<T>(Mutex<Option<smol::Task<T>>>);

impl<T: Send + 'static> Future for Task<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Ok(mut task) = self.0.lock() else {
            return Poll::Ready(Err(io::ErrorKind::Other.into()));
        };
        match task.as_mut() {
            Some(task) => Pin::new(task).poll(cx).map(Ok),
            None => Poll::Ready(Err(io::ErrorKind::Other.into())),
        }
    }
}

impl<T: Send + 'static> traits::TaskHandle<T> for Task<T> {
    fn detach(self) {
        if let Ok(Some(task)) = self.0.into_inner() {
            task.detach();
        }
    }
}

impl traits::Runtime for SmolRuntime {
    type RegisteredIoSource = Watched;
    type Sleep = Sleep;
    type Task<T>
        = Task<T>
    where
        T: Send + 'static;

    fn register_io_source(&self, source: IoSource) -> io::Result<Watched> {
        let flags = rustix::fs::fcntl_getfl(source.as_fd())?;
        rustix::fs::fcntl_setfl(source.as_fd(), flags | rustix::fs::OFlags::NONBLOCK)?;
        Async::new_nonblocking(source).map(Watched)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep(Timer::after(duration))
    }

    fn spawn<T>(&self, _name: &str, future: impl Future<Output = T> + Send + 'static) -> Task<T>
    where
        T: Send + 'static,
    {
        Task(Mutex::new(Some(self.0.spawn(future))))
    }

    async fn connect_tcp(&self, address: SocketAddr) -> io::Result<IoSource> {
        let stream = Async::<TcpStream>::connect(address).await?.into_inner()?;
        Ok(OwnedFd::from(stream).into())
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<IoSource> {
        let stream = Async::<UnixStream>::connect(path).await?.into_inner()?;
        Ok(OwnedFd::from(stream).into())
    }

    fn spawn_process(
        &self,
        mut command: Command,
        stdin: Stdio,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'static>>> {
        let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn()?;
        drop(command);
        Ok(Box::pin(unblock(move || child.wait())))
    }

    fn spawn_blocking<T>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send + 'static>>
    where
        T: Send + 'static,
    {
        Box::pin(unblock(work))
    }
}
