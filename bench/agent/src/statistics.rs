//! Times of one operation, and what they amount to.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Before what starts or ends a container: the kernel goes on for some time after the previous one,
/// and then treats the next one as if nothing had been.
pub const PAUSE: Duration = Duration::from_millis(200);

/// How long one operation took, each time.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// All of others.
    pub fn append(&mut self, others: &mut Self) {
        self.0.append(&mut others.0);
    }

    /// Does something and adds its time.
    pub async fn measure<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = work.await;
        self.add(started.elapsed());
        result
    }

    /// Median, 95th percentile, least and number, times in milliseconds.
    pub fn summary(mut self) -> Value {
        self.0.sort_unstable();
        let at = |percent: usize| milliseconds(self.0[(self.0.len() - 1) * percent / 100]);
        json!({"median": at(50), "p95": at(95), "min": at(0), "count": self.0.len()})
    }
}

/// In milliseconds, to the microsecond.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
