//! How a record is laid out and read back.

/// A field type of a record: plain numbers and byte arrays, every bit pattern of which is valid.
pub(crate) trait Field: Sized {
    /// Takes the field off the front of `bytes`; nothing if they are too short.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
    /// Gives the field's bytes to `put`.
    fn give(&self, put: &mut dyn FnMut(&[u8]));
}

macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (head, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_ne_bytes(*head))
            }

            fn give(&self, put: &mut dyn FnMut(&[u8])) {
                put(&self.to_ne_bytes());
            }
        }
    )*};
}

number_fields!(u8, u16, u32, i32, u64);

impl<const N: usize> Field for [u8; N] {
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*head)
    }

    fn give(&self, put: &mut dyn FnMut(&[u8])) {
        put(self);
    }
}

/// Declares a record: `repr(C)`, no implicit padding (checked when it is compiled), and a decoder that reads the fields in
/// order. A later version may only add fields at the end.
macro_rules! wire_struct {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        const _: () = assert!(
            core::mem::size_of::<$name>() == 0 $(+ core::mem::size_of::<$type>())*,
            "a record must not have implicit padding"
        );
        const _: () = assert!(core::mem::align_of::<$name>() <= 8, "the ring buffer aligns to 8 bytes");

        impl $name {
            /// Reads the record from the front of `bytes`; nothing if they are too short. What follows is left alone.
            pub fn decode(mut bytes: &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::wire::Field::take(&mut bytes)?,)* })
            }

            /// Gives the record's bytes to `put`, piece by piece: what [`Self::decode`] reads.
            pub fn encode(&self, put: &mut dyn FnMut(&[u8])) {
                $($crate::wire::Field::give(&self.$field, put);)*
            }
        }

        #[cfg(feature = "user")]
        #[expect(unsafe_code, reason = "aya::Pod is an unsafe trait")]
        // SAFETY: repr(C), Copy, no padding (asserted above), and every field takes any bit pattern.
        unsafe impl aya::Pod for $name {}
    };
}
