//! Receivers and tests by Varlink, as `io.peripety.Notify` describes it. A connection takes calls one after the other.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
};

use peripety::internal::varlink::{
    CALL_MAX, Call, Failure, Interface, NotCalled, Parameters, failure, no_method, of_every_service, reply,
};
use serde_json::{Value, json};

use crate::{
    control::{NoSuchReceiver, chosen, list, test},
    receiver::Receiver,
    serve::PATIENCE,
};

const INTERFACE: Interface =
    ("io.peripety.Notify", include_str!("../../peripety/varlink/io.peripety.Notify.varlink"));

/// Serves a client until it goes, is silent for long, or cannot be understood.
pub(crate) fn answer(stream: UnixStream, receivers: &[Arc<Receiver>]) -> io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    loop {
        let mut call = match read(&mut from) {
            Ok(Some(call)) => call,
            Ok(None) => return Ok(()),
            Err(wrong) => return to.write_all(&reply(&Err(wrong.failure(INTERFACE.0)))),
        };
        let answer = match of_every_service(&mut call, "peripety-notify", &[INTERFACE]) {
            Some(answer) => answer,
            None => method(&mut call, receivers),
        };
        if !call.oneway {
            to.write_all(&reply(&answer))?;
        }
    }
}

/// The next call; none when the client has gone, or begins none for long.
fn read(from: &mut BufReader<UnixStream>) -> Result<Option<Call>, NotCalled> {
    let mut bytes = Vec::new();
    match from.take(CALL_MAX as u64 + 1).read_until(0, &mut bytes) {
        Ok(_) if bytes.last() == Some(&0) => {}
        Ok(_) if bytes.len() > CALL_MAX => return Err(NotCalled::TooLong),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !bytes.is_empty() => {
            return Err(NotCalled::TooSlow(PATIENCE.as_secs()));
        }
        Ok(_) | Err(_) => return Ok(None),
    }
    bytes.pop();
    Call::read(&bytes).map(Some)
}

fn method(call: &mut Call, receivers: &[Arc<Receiver>]) -> Result<Value, Failure> {
    let mut parameters = Parameters::of(call);
    let tests = match call.method.as_str() {
        "io.peripety.Notify.List" => false,
        "io.peripety.Notify.Test" => true,
        other => return Err(no_method(other)),
    };
    let wanted: Option<String> = parameters.optional("receiver")?;
    parameters.end()?;
    let chosen = chosen(receivers, wanted.as_deref()).map_err(|NoSuchReceiver { wanted, names }| {
        failure("io.peripety.Notify.NoSuchReceiver", json!({ "receiver": wanted, "receivers": names }))
    })?;
    Ok(if tests { json!({ "results": test(&chosen) }) } else { json!({ "receivers": list(&chosen) }) })
}

#[cfg(test)]
mod tests {
    use std::{path::Path, thread};

    use peripety::internal::Roots;

    use super::*;
    use crate::{config::Config, receiver::Places};

    /// A client of two receivers: one writes to a program that takes all, one to a program that refuses.
    fn client(dir: &Path) -> UnixStream {
        let config = "[[notify]]\nname = 'takes'\n[notify.exec]\nprogram = '/bin/true'\n\
                      [[notify]]\nname = 'refuses'\n[notify.exec]\nprogram = '/bin/false'\n";
        let config = Config::from_text(Path::new("n.conf"), config).unwrap();
        let roots = Roots::under(dir);
        let places = Places { runtime: dir.join("run"), state: dir.join("state") };
        let receivers: Vec<_> =
            config.notify.iter().map(|notify| Receiver::start(notify, &places, &roots).unwrap()).collect();
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_read_timeout(Some(PATIENCE)).unwrap();
        thread::spawn(move || answer(theirs, &receivers));
        ours
    }

    fn call(client: &mut UnixStream, text: &str) -> Value {
        client.write_all(text.as_bytes()).unwrap();
        client.write_all(b"\0").unwrap();
        let mut bytes = Vec::new();
        BufReader::new(client).read_until(0, &mut bytes).unwrap();
        bytes.pop();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn receivers_are_listed_and_tested_on_one_connection() {
        let dir = tempfile::tempdir().unwrap();
        let mut client = client(dir.path());
        let listed = call(&mut client, r#"{"method":"io.peripety.Notify.List"}"#);
        assert_eq!(listed["parameters"]["receivers"][0]["name"], "takes");
        assert_eq!(listed["parameters"]["receivers"][1]["name"], "refuses");
        let tested = call(&mut client, r#"{"method":"io.peripety.Notify.Test"}"#);
        let results = tested["parameters"]["results"].as_array().unwrap();
        assert_eq!((&results[0]["name"], &results[0]["ok"]), (&json!("takes"), &json!(true)), "{tested}");
        assert_eq!((&results[1]["name"], &results[1]["ok"]), (&json!("refuses"), &json!(false)), "{tested}");
        let one =
            call(&mut client, r#"{"method":"io.peripety.Notify.Test","parameters":{"receiver":"takes"}}"#);
        assert_eq!(one["parameters"]["results"].as_array().unwrap().len(), 1, "{one}");
    }

    #[test]
    fn what_cannot_be_answered_is_a_typed_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut client = client(dir.path());
        let cases = [
            (
                r#"{"method":"io.peripety.Notify.Test","parameters":{"receiver":"none"}}"#,
                "io.peripety.Notify.NoSuchReceiver",
                json!({ "receiver": "none", "receivers": ["takes", "refuses"] }),
            ),
            (
                r#"{"method":"io.peripety.Notify.Test","parameters":{"receiver":7}}"#,
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "receiver" }),
            ),
            (
                r#"{"method":"io.peripety.Notify.List","parameters":{"more":1}}"#,
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "more" }),
            ),
            (
                r#"{"method":"io.peripety.Notify.Delete"}"#,
                "org.varlink.service.MethodNotFound",
                json!({ "method": "io.peripety.Notify.Delete" }),
            ),
            (
                r#"{"method":"io.peripety.Daemon.Stats"}"#,
                "org.varlink.service.InterfaceNotFound",
                json!({ "interface": "io.peripety.Daemon" }),
            ),
        ];
        for (text, error, parameters) in cases {
            assert_eq!(
                call(&mut client, text),
                json!({ "error": error, "parameters": parameters }),
                "{text}"
            );
        }
        let long = call(&mut client, &"x".repeat(CALL_MAX + 1));
        assert_eq!(long["error"], "io.peripety.Notify.CallTooLong");
        let mut rest = Vec::new();
        let _gone = client.read_to_end(&mut rest);
        assert_eq!(rest, b"", "nothing more is read from it");
    }
}
