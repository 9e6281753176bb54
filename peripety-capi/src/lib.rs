//! `libperipety`: block devices and storage failures for C. `include/peripety.h` is what C sees; cbindgen makes it of this.
//!
//! Every function that can fail takes a place for an error last, which may be NULL. No panic leaves a function. What is
//! opaque is made by one function and freed by another; texts belong to the object that gave them.

#![expect(unsafe_code, reason = "C hands over pointers")]
#![expect(non_camel_case_types, reason = "names as C has them")]
#![deny(missing_docs)]

mod call;
mod device;
mod error;
mod item;
mod options;
mod stream;
mod text;

pub use device::*;
pub use error::*;
pub use item::*;
pub use options::*;
pub use stream::*;
pub use text::*;

/// What may be shared by threads, as its documentation says.
const fn shared<T: Send + Sync>() {}
const _: () = shared::<peripety_devices>();
const _: () = shared::<peripety_device>();
const _: () = shared::<peripety_item>();
const _: () = shared::<peripety_error>();
