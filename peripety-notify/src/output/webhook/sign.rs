//! Signatures of requests.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde_json::json;

/// How long a token holds, seconds.
const LIFE: i64 = 60;

/// HMAC-SHA256 over `TIME.BODY`, in hexadecimal digits.
pub(super) fn hmac(key: &str, time: &str, body: &[u8]) -> String {
    let mut text = format!("{time}.").into_bytes();
    text.extend_from_slice(body);
    let tag = sign(&Key::new(HMAC_SHA256, key.as_bytes()), &text);
    tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _fits = write!(hex, "{byte:02x}");
        hex
    })
}

/// A JSON web token (RFC 7519) with HS256, as Gluster's webhooks have it.
pub(super) fn jwt(key: &str, subject: &str, now: Timestamp) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "alg": "HS256", "typ": "JWT" }));
    let now = now.as_second();
    let claims = part(json!({ "iss": "peripety", "sub": subject, "iat": now, "exp": now + LIFE }));
    let tag = sign(&Key::new(HMAC_SHA256, key.as_bytes()), format!("{head}.{claims}").as_bytes());
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_others() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(
            hmac("key", "1700000000", b"{}"),
            "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
        );
        let token = jwt("key", "X", Timestamp::from_second(1_700_000_000).unwrap());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let tag = sign(&Key::new(HMAC_SHA256, b"key"), signed.as_bytes());
        assert_eq!(signature, URL_SAFE_NO_PAD.encode(tag));
        let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["exp"], 1_700_000_060);
    }
}
