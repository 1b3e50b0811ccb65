//! Slots, exits, links, faults.
