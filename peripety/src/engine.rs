//! The pure core: records and time go in, events come out.
