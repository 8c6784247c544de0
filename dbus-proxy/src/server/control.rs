//! What the server does for the agent.

use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

use super::{
    Server, ServerError, Watched,
    control_socket::{Order, Work},
};
use crate::{
    control::{Bus, Event},
    link::Interest,
    rule::RuleSet,
    sys,
};

impl Server {
    /// Reports to the agent which layers of the sandbox are missing, once it listens.
    pub fn announce(&mut self, missing: Vec<String>) {
        for text in missing {
            let event = Event::Log(format!("without a layer of protection: {text}"));
            // The agent has gone; reading will say so.
            let _ = self.send_event(&event);
        }
    }

    /// Whether the agent is still there.
    pub(super) fn serve_control(&mut self, ready: Interest) -> Result<bool, ServerError> {
        if ready.write {
            self.control
                .out
                .flush(&self.control.socket)
                .map_err(ServerError::Control)?;
            self.watch_control()?;
        }
        if !ready.read {
            return Ok(true);
        }
        let control = &mut self.control;
        match sys::receive(&control.socket, &mut self.buffer, &mut control.fds) {
            Ok(0) | Err(Errno::CONNRESET) => return Ok(false),
            Ok(count) => control
                .lines
                .feed(self.buffer.get(..count).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(ServerError::Control(error)),
        }
        while let Some(work) = self.control.next()? {
            match work {
                Work::Orders(orders, number) => {
                    for order in orders {
                        self.follow(order)?;
                    }
                    self.send_event(&Event::Done(number))?;
                }
                Work::Anew(number) => {
                    for bus in Bus::ALL {
                        self.stop_listening(bus);
                    }
                    self.send_event(&Event::Anew(number))?;
                }
            }
        }
        Ok(true)
    }

    fn follow(&mut self, order: Order) -> Result<(), ServerError> {
        match order {
            Order::Rules(bus, rules) => self.set_rules(bus, rules),
            Order::Off(bus) => {
                self.stop_bus(bus);
                Ok(())
            }
        }
    }

    fn set_rules(&mut self, bus: Bus, rules: RuleSet) -> Result<(), ServerError> {
        if let Some(place) = self.buses.rules.get_mut(bus.index()) {
            *place = rules;
        }
        // Descriptors come in the order of their commands, one for each bus that starts to be
        // served.
        if !self.control.fds.is_empty()
            && self.listeners.get(bus.index()).is_some_and(Option::is_none)
        {
            let listener = self.control.fds.remove(0);
            if let Some(place) = self.listeners.get_mut(bus.index()) {
                *place = Some(listener);
            }
            if self.listening_paused.is_none() {
                self.watch_listener(bus)?;
            }
        }
        Ok(())
    }

    fn stop_listening(&mut self, bus: Bus) {
        if let Some(listener) = self.listeners.get_mut(bus.index()).and_then(Option::take) {
            // The agent holds the socket, too, so closing it here does not take it out of the set.
            let _ = epoll::delete(&self.epoll, &listener);
        }
    }

    fn stop_bus(&mut self, bus: Bus) {
        self.stop_listening(bus);
        if let Some(rules) = self.buses.rules.get_mut(bus.index()) {
            *rules = RuleSet::default();
        }
        for key in self.links.keys() {
            if self.links.get(key).is_some_and(|link| link.bus() == bus) {
                self.links.remove(key);
            }
        }
    }

    fn send_event(&mut self, event: &Event) -> Result<(), ServerError> {
        let control = &mut self.control;
        let text = event.to_string();
        match control
            .out
            .send(Some(&control.socket), text.as_bytes(), Vec::new())
        {
            // The agent has gone; reading will say so.
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => self.watch_control(),
            Err(error) => Err(ServerError::Control(error)),
        }
    }

    fn watch_control(&mut self) -> Result<(), ServerError> {
        let control = &mut self.control;
        let waits = !control.out.is_empty();
        if waits == control.waits_to_write {
            return Ok(());
        }
        control.waits_to_write = waits;
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, waits);
        let token = EventData::new_u64(Watched::Control.token());
        epoll::modify(&self.epoll, &control.socket, token, flags).map_err(ServerError::Epoll)
    }

    /// Sends lines to the agent's log, unless it is behind with reading.
    pub(super) fn send_log(&mut self) -> Result<(), ServerError> {
        for text in self.log.take() {
            if self.control.out.is_empty() {
                self.send_event(&Event::Log(text))?;
            }
        }
        Ok(())
    }

    pub(super) fn report_unreachable(&mut self) -> Result<(), ServerError> {
        for bus in std::mem::take(&mut self.buses.unreachable) {
            if self.control.out.is_empty() {
                self.send_event(&Event::Lost(bus))?;
            }
        }
        Ok(())
    }
}
