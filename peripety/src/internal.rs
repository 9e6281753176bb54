//! What the workspace's own programs, tests, benchmarks and fuzz targets use of the crate. No API: it changes at any time.

pub use crate::{block, engine, event, log, record, roots::Roots};

pub mod checked {
    pub use crate::checked::{Lines, Piece, seal, unseal};
}

pub mod follow {
    pub use crate::follow::{
        FollowError, Item, JOURNAL_OPTION, Journal, Kinds, Place, ask, follow, journal_main, open,
    };
    pub use peripety_client::{Position, Request};
}

pub mod files {
    pub use crate::{
        config::{Bounded, read_bounded},
        notifier::socket::{SocketError, listen},
        replace::replace,
    };
}

pub mod secret {
    pub use crate::secret::{Secret, SecretError, Source, text_of};
}

pub mod program {
    pub use crate::program::{log_to_stderr, only_completions};
}

pub mod text {
    pub use crate::{terminal::error_chain, text::printable};
}

pub mod cli {
    pub use crate::cli::{command, main};
}

pub mod collector {
    pub mod ebpf {
        pub use crate::collector::ebpf::{format::Format, hits, probes::PROBES};
    }
    pub mod kmsg {
        pub use crate::collector::kmsg::{KmsgRecord, parse_record};
    }
    pub mod uevent {
        pub use crate::collector::uevent::parse_uevent;
    }
}

pub mod config {
    pub use crate::config::Config;
}

pub mod daemon {
    pub use crate::daemon::{Args, checkpoint_log, main};
}

pub mod incident {
    pub use crate::incident::Incidents;
}

pub mod notifier {
    pub use crate::notifier::{Notifier, carrier::carry, catalog, journald, memory, socket, spool};
}

pub mod offline {
    pub use crate::offline::{
        ByHost, Calendar, Given, Input, Item, Line, Logs, Taker, bounds, read, read_into, report, unpack,
    };
}

pub mod parser {
    pub use crate::parser::{kernel, rules, uevent};
}

pub mod query {
    pub use crate::query::{Filter, boot, journald, select};
}

pub mod recording {
    pub use crate::recording::{Entry, FORMAT, Replay, Start};
}

pub mod state {
    pub use crate::state::Table;
}

pub mod varlink {
    pub use crate::varlink::{
        CALL_MAX, Call, Failure, Interface, NotCalled, Parameters, failure, invalid, no_method,
        of_every_service, reply,
    };
}
