//! What each gateway accepts: its configuration elements, parsed and merged.
