//! What is served.

use peripety_notify::internal::Request;
use serde_json::{Map, Value, json};

use super::{Role, api, page};
use crate::{consume::Shared, store::StoreError};

/// A request, and who asks.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) body: &'a [u8],
    pub(super) who: &'a str,
    pub(super) role: Role,
    pub(super) shared: &'a Shared,
}

impl Asked<'_> {
    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = self.request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(is, _)| *is == name).map(|(_, value)| decoded(value))
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) kind: &'static str,
    pub(super) headers: String,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn html(text: String) -> Self {
        Self { status: "200 OK", kind: "text/html; charset=utf-8", headers: String::new(), text }
    }

    pub(super) fn json(value: &Value) -> Self {
        Self {
            status: "200 OK",
            kind: "application/json",
            headers: String::new(),
            text: format!("{value}\n"),
        }
    }

    pub(super) fn wrong(status: &'static str, what: &str) -> Self {
        let text = format!("{}\n", json!({ "error": what }));
        Self { status, kind: "application/json", headers: String::new(), text }
    }

    /// A browser asks for the token then.
    pub(super) fn login() -> Self {
        let what = "give a token: Authorization: Bearer TOKEN; in a browser it is the password";
        Self {
            headers: "WWW-Authenticate: Basic realm=\"peripety\"\r\n".to_owned(),
            ..Self::wrong("401 Unauthorized", what)
        }
    }

    pub(super) fn see(place: &str) -> Self {
        Self { headers: format!("Location: {place}\r\n"), ..Self::wrong("303 See Other", "done") }
    }
}

impl From<StoreError> for Answer {
    fn from(error: StoreError) -> Self {
        Self::wrong("500 Internal Server Error", &error.to_string())
    }
}

/// One of them.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// `{}` stands for one part of the path.
    pub(super) path: &'static str,
    pub(super) role: Role,
    pub(super) what: &'static str,
    /// Names of its query.
    pub(super) query: &'static [&'static str],
    run: fn(&Asked<'_>, &[String]) -> Answer,
}

macro_rules! routes {
    ($($method:literal $path:literal $role:ident [$($query:literal),*] $what:literal $run:path;)*) => {
        &[$(Route { method: $method, path: $path, role: Role::$role, what: $what, query: &[$($query),*], run: $run }),*]
    };
}

/// All of them.
pub(super) const ROUTES: &[Route] = routes! {
    "GET" "/" Read ["q", "severity"] "The page: what is open" page::open;
    "GET" "/incident/{}" Read [] "The page of an incident" page::incident;
    "GET" "/cluster/{}" Read [] "The page of an incident of the fleet" page::cluster;
    "GET" "/hosts" Read [] "The page of all hosts" page::hosts;
    "GET" "/device" Read ["wwid"] "The page of a device: its life over hosts and names" page::device;
    "POST" "/incident/{}/acknowledge" Acknowledge [] "The form of the page of an incident" page::acknowledge;
    "GET" "/api/v1/status" Read [] "How the hub is: what it took, what it refused, whether it reads the stream" api::status;
    "GET" "/api/v1/incidents" Read ["state", "host", "q", "limit"] "Incidents of hosts, the worst first; open ones unless state=all" api::incidents;
    "GET" "/api/v1/incidents/{}" Read [] "An incident with its events, and who acknowledged it" api::incident;
    "POST" "/api/v1/incidents/{}/acknowledge" Acknowledge [] "Says that an incident is known; a body with a reason" api::acknowledge;
    "GET" "/api/v1/clusters" Read ["state"] "Incidents of what many hosts see; open ones unless state=all" api::clusters;
    "GET" "/api/v1/hosts" Read [] "What hosts say of themselves" api::hosts;
    "POST" "/api/v1/hosts/{}/forget" Administer [] "Forgets a host that is gone for good, by its key SITE.HOST" api::forget;
    "GET" "/api/v1/conditions" Read [] "What is wrong with hosts: silent, clock off, version behind, probes refused, losses" api::conditions;
    "GET" "/api/v1/devices" Read ["wwid"] "All incidents of a device, by its world wide id" api::device;
    "GET" "/api/v1/groups" Read [] "Models of which several devices failed within a week" api::groups;
    "GET" "/api/v1/audit" Administer [] "Who did what" api::audit;
    "GET" "/api/v1/openapi.json" Read [] "This API as OpenAPI 3.1" api::openapi;
};

/// Answers a request.
pub(super) fn answer(asked: &Asked<'_>) -> Answer {
    let method = if asked.request.method == "HEAD" { "GET" } else { asked.request.method.as_str() };
    let mut found = false;
    for route in ROUTES {
        let Some(parts) = fits(route.path, &asked.request.path) else { continue };
        found = true;
        if route.method != method {
            continue;
        }
        if asked.role < route.role {
            return Answer::wrong("403 Forbidden", "this token may not do that");
        }
        return (route.run)(asked, &parts);
    }
    if found {
        return Answer::wrong("405 Method Not Allowed", "another method is for this path");
    }
    Answer::wrong("404 Not Found", "the page is at /, the API at /api/v1/openapi.json")
}

/// The parts of a path that stand for `{}` of a pattern.
fn fits(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parts = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parts),
            (Some("{}"), Some(part)) if !part.is_empty() => parts.push(decoded(part)),
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return None,
        }
    }
}

/// Without the escapes of URLs and forms.
pub(super) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The API as OpenAPI, made of the table.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/api/")) {
        let path = route.path.replace("{}", "{id}");
        let in_path = path
            .contains("{id}")
            .then(|| json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
        let in_query = route
            .query
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
        let parameters: Vec<Value> = in_path.into_iter().chain(in_query).collect();
        let mut operation = json!({
            "summary": route.what,
            "description": format!("Role: {}", format!("{:?}", route.role).to_lowercase()),
            "parameters": parameters,
            "responses": {
                "200": { "description": "It", "content": { "application/json": { "schema": {} } } },
                "401": { "description": "No token, or an unknown one" },
                "403": { "description": "The token may not do that" },
            },
        });
        if route.method == "POST"
            && let Some(operation) = operation.as_object_mut()
        {
            let schema = json!({ "type": "object", "properties": { "reason": { "type": "string" } } });
            operation.insert(
                "requestBody".to_owned(),
                json!({ "content": { "application/json": { "schema": schema } } }),
            );
        }
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method.to_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "peripety-hub", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "MIT OR Apache-2.0" } },
        "security": [{ "token": [] }],
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "paths": paths,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_patterns_and_escapes_are_undone() {
        assert_eq!(fits("/incident/{}", "/incident/a%2Fb"), Some(vec!["a/b".to_owned()]));
        for path in ["/incident", "/incident/", "/incident/a/b", "/x/a"] {
            assert_eq!(fits("/incident/{}", path), None, "{path}");
        }
        assert_eq!(decoded("a+b%20c%zz%"), "a b c%zz%");
    }
}
