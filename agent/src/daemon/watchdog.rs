//! What systemd is told: readiness, the end, and that the agent is alive (sd_notify(3)).

use sd_notify::NotifyState;
use smol::Timer;

/// Tells systemd's watchdog, if there is one, that the agent is alive, for as long as it is polled:
/// it runs on the executor that serves calls, so that a blocked executor is noticed.
pub async fn feed() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        // sd_watchdog_enabled(3) recommends half of the limit.
        Timer::after(limit / 2).await;
        notify(NotifyState::Watchdog);
    }
}

/// Tells systemd one thing, if it listens.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("cannot notify systemd: {error}");
    }
}
