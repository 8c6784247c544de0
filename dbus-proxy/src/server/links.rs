//! The links of a server, and the tokens that epoll(7) tells their sockets by.

use std::os::fd::OwnedFd;

use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

use crate::{
    control::Bus,
    link::{End, Interest, Link, Side},
};

/// Names a link. An event that was fetched before its link ended names no other link afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkKey {
    slot: u32,
    generation: u32,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Control,
    Listener(Bus),
    Link(LinkKey, End),
}

const FIRST_LINK: u64 = 4;

impl Watched {
    pub(super) fn token(self) -> u64 {
        match self {
            Self::Control => 0,
            Self::Listener(Bus::Session) => 1,
            Self::Listener(Bus::System) => 2,
            Self::Link(key, end) => {
                let low = FIRST_LINK + u64::from(key.slot) * 2 + u64::from(end == End::Bus);
                u64::from(key.generation) << 32 | low
            }
        }
    }

    pub(super) fn from_token(token: u64) -> Self {
        let low = token & u64::from(u32::MAX);
        match low {
            0 => Self::Control,
            1 => Self::Listener(Bus::Session),
            2 | 3 => Self::Listener(Bus::System),
            _ => {
                let slot = u32::try_from((low - FIRST_LINK) / 2).unwrap_or(u32::MAX);
                let generation = u32::try_from(token >> 32).unwrap_or(u32::MAX);
                let end = if low & 1 == 1 { End::Bus } else { End::App };
                Self::Link(LinkKey { slot, generation }, end)
            }
        }
    }
}

/// All links.
#[derive(Default)]
pub(super) struct Links {
    slots: Vec<Slot>,
    count: usize,
}

struct Slot {
    generation: u32,
    link: Option<Box<Link>>,
}

impl Links {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn authenticating(&self) -> usize {
        let links = self.slots.iter().filter_map(|slot| slot.link.as_ref());
        links.filter(|link| link.authenticates()).count()
    }

    pub(super) fn insert(&mut self, link: Link) -> LinkKey {
        let free = self.slots.iter().position(|slot| slot.link.is_none());
        let index = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.push(Slot {
                generation: 0,
                link: None,
            });
        }
        let mut generation = 0;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.generation = slot.generation.wrapping_add(1);
            slot.link = Some(Box::new(link));
            generation = slot.generation;
        }
        self.count += 1;
        LinkKey {
            slot: u32::try_from(index).unwrap_or(u32::MAX),
            generation,
        }
    }

    fn slot(&mut self, key: LinkKey) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(usize::try_from(key.slot).ok()?)?;
        (slot.generation == key.generation).then_some(slot)
    }

    pub(super) fn get(&mut self, key: LinkKey) -> Option<&mut Link> {
        self.slot(key)?.link.as_deref_mut()
    }

    pub(super) fn remove(&mut self, key: LinkKey) {
        if self.slot(key).and_then(|slot| slot.link.take()).is_some() {
            self.count -= 1;
        }
    }

    pub(super) fn keys(&self) -> Vec<LinkKey> {
        let used = (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.link.is_some());
        used.map(|(index, slot)| LinkKey {
            slot: index,
            generation: slot.generation,
        })
        .collect()
    }

    /// Makes `epoll` wait for what the link wants of its two sockets.
    pub(super) fn register(&mut self, key: LinkKey, epoll: &OwnedFd) -> Result<(), Errno> {
        let Some(link) = self.get(key) else {
            return Ok(());
        };
        let wanted = [link.interest(End::App), link.interest(End::Bus)];
        let sides = [(End::App, &mut link.app), (End::Bus, &mut link.upstream)];
        for ((end, side), wanted) in sides.into_iter().zip(wanted) {
            register(epoll, Watched::Link(key, end), side, wanted)?;
        }
        Ok(())
    }
}

/// A socket of which nothing is wanted leaves the set: its hang-up would wake us again and again.
fn register(
    epoll: &OwnedFd,
    watched: Watched,
    side: &mut Side,
    wanted: Interest,
) -> Result<(), Errno> {
    let Some(socket) = &side.socket else {
        return Ok(());
    };
    if wanted == side.registered {
        return Ok(());
    }
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, wanted.read);
    flags.set(EventFlags::OUT, wanted.write);
    let token = EventData::new_u64(watched.token());
    let nothing = Interest::default();
    if side.registered == nothing {
        epoll::add(epoll, socket, token, flags)?;
    } else if wanted == nothing {
        epoll::delete(epoll, socket)?;
    } else {
        epoll::modify(epoll, socket, token, flags)?;
    }
    side.registered = wanted;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_what_is_watched() {
        let key = LinkKey {
            slot: 7,
            generation: u32::MAX,
        };
        let all = [
            Watched::Control,
            Watched::Listener(Bus::Session),
            Watched::Listener(Bus::System),
            Watched::Link(key, End::App),
            Watched::Link(key, End::Bus),
        ];
        for watched in all {
            assert_eq!(Watched::from_token(watched.token()), watched);
        }
    }
}
