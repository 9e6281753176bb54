//! Calls and replies of Varlink, <https://varlink.org/Method-Call>: an object of JSON and a zero byte each; and what every service
//! answers about itself. No I/O: a server reads and writes the bytes.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// An interface: its name, and the file that describes it.
pub type Interface = (&'static str, &'static str);

/// What every service answers.
pub(crate) const SERVICE: Interface =
    ("org.varlink.service", include_str!("../varlink/org.varlink.service.varlink"));

/// Longest call, bytes.
pub const CALL_MAX: usize = 64 << 10;

/// A call.
#[derive(Debug, Deserialize)]
pub struct Call {
    /// Interface and method.
    pub method: String,
    #[serde(default)]
    pub(crate) parameters: Option<Map<String, Value>>,
    /// The caller takes more than one reply.
    #[serde(default)]
    pub more: bool,
    /// The caller takes no reply.
    #[serde(default)]
    pub oneway: bool,
    /// The caller wants the connection for another protocol.
    #[serde(default)]
    pub upgrade: bool,
}

/// Why something is no call. Nothing more is read from a client that sends it.
#[derive(Debug)]
pub enum NotCalled {
    /// It has more than [`CALL_MAX`] bytes.
    TooLong,
    /// It did not end within so many seconds.
    TooSlow(u64),
    /// It cannot be read, and why.
    Nonsense(String),
}

impl NotCalled {
    /// As an error of this interface.
    pub fn failure(&self, interface: &str) -> Failure {
        let (error, parameters) = match self {
            Self::TooLong => ("CallTooLong", json!({ "most": CALL_MAX })),
            Self::TooSlow(seconds) => ("CallTooSlow", json!({ "seconds": seconds })),
            Self::Nonsense(why) => ("NotACall", json!({ "why": why })),
        };
        failure(&format!("{interface}.{error}"), parameters)
    }
}

impl Call {
    /// From its bytes, without the zero.
    ///
    /// # Errors
    /// They are no call.
    pub fn read(bytes: &[u8]) -> Result<Self, NotCalled> {
        serde_json::from_slice(bytes).map_err(|error| NotCalled::Nonsense(error.to_string()))
    }
}

/// An error, with its parameters.
#[derive(Debug, PartialEq)]
pub struct Failure {
    pub(crate) error: String,
    pub(crate) parameters: Value,
}

/// An error by its name with its interface.
pub fn failure(error: &str, parameters: Value) -> Failure {
    Failure { error: error.to_owned(), parameters }
}

/// A parameter that is missing, has another type, or is not known.
pub fn invalid(name: &str) -> Failure {
    failure("org.varlink.service.InvalidParameter", json!({ "parameter": name }))
}

/// The parameters of a call, which are taken one by one.
#[derive(Debug)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// Takes them out of the call.
    pub fn of(call: &mut Call) -> Self {
        Self(call.parameters.take().unwrap_or_default())
    }

    /// One that may be absent, or null.
    ///
    /// # Errors
    /// It is of another type.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(without_nulls(value)).map(Some).map_err(|_wrong| invalid(name)),
        }
    }

    /// One that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Failure> {
        self.optional(name)?.ok_or_else(|| invalid(name))
    }

    /// There are no others.
    ///
    /// # Errors
    /// There is one.
    pub fn end(self) -> Result<(), Failure> {
        self.0.keys().next().map_or(Ok(()), |name| Err(invalid(name)))
    }
}

/// null is the same as nothing to Varlink.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(all) = &mut value {
        all.retain(|_, value| !value.is_null());
    }
    value
}

/// Answers a call of `org.varlink.service`, or of what no interface has; none for a method that the service may have.
pub fn of_every_service(
    call: &mut Call,
    product: &str,
    interfaces: &[Interface],
) -> Option<Result<Value, Failure>> {
    if call.upgrade {
        return Some(Err(invalid("upgrade")));
    }
    let mut all = std::iter::once(&SERVICE).chain(interfaces);
    let (interface, method) = match call.method.rsplit_once('.') {
        Some((interface, method)) => (interface.to_owned(), method.to_owned()),
        None => return Some(Err(no_method(&call.method))),
    };
    if interface != SERVICE.0 {
        return match all.any(|(name, _)| *name == interface) {
            true => None,
            false => Some(Err(no_interface(&interface))),
        };
    }
    let mut parameters = Parameters::of(call);
    Some(match method.as_str() {
        "GetInfo" => parameters.end().map(|()| {
            let names: Vec<&str> = all.map(|(name, _)| *name).collect();
            json!({
                "vendor": "peripety", "product": product, "version": env!("CARGO_PKG_VERSION"),
                "url": env!("CARGO_PKG_REPOSITORY"), "interfaces": names,
            })
        }),
        "GetInterfaceDescription" => parameters.required::<String>("interface").and_then(|wanted| {
            parameters.end()?;
            match all.find(|(name, _)| *name == wanted) {
                Some((_, description)) => Ok(json!({ "description": description })),
                None => Err(no_interface(&wanted)),
            }
        }),
        _ => Err(no_method(&call.method)),
    })
}

/// The service has no such method.
pub fn no_method(method: &str) -> Failure {
    failure("org.varlink.service.MethodNotFound", json!({ "method": method }))
}

fn no_interface(interface: &str) -> Failure {
    failure("org.varlink.service.InterfaceNotFound", json!({ "interface": interface }))
}

/// An object as bytes on the wire.
pub(crate) fn message(value: &Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(0);
    bytes
}

/// The bytes of a reply, the only one to its call.
pub fn reply(answer: &Result<Value, Failure>) -> Vec<u8> {
    message(&match answer {
        Ok(parameters) => json!({ "parameters": parameters }),
        Err(wrong) => json!({ "error": wrong.error, "parameters": wrong.parameters }),
    })
}
