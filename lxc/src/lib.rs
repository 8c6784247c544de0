//! A safe wrapper around the part of liblxc that the agent uses.
