//! Rules in nf_tables, put there by netlink, without a program.
//!
//! They are in tables of ours, which nobody else works on: iptables(8) on the same host neither
//! shows them nor is in their way.
//!
//! Source: linux/netfilter/nf_tables.h.

mod batch;
mod expression;
mod look;
mod tables;
mod words;

pub(super) use batch::{Batch, try_out};
pub(super) use look::counts;
pub(super) use tables::Tables;
pub(super) use words::Hook;
