//! The style sheet.

/// What the stack needs, for a picture that is a file of its own.
pub(crate) const STACK: &str = include_str!("stack.css");

/// The style sheet of the page, for pages of others that show an [`incident_html`](crate::incident_html): light and dark by
/// `prefers-color-scheme`, readable at 360 pixels and on paper. It names nothing to be loaded.
pub const STYLE: &str = concat!(include_str!("page.css"), include_str!("stack.css"));

/// The SHA-256 of [`STYLE`] in base64, for a content security policy: `style-src 'sha256-…'`.
pub const STYLE_SHA256: &str = "YWzy+D56t8IiEzyZRP1u7S8JbguB66P+Cp4nPznU20I=";

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn the_policy_names_the_style_sheet_that_there_is() {
        let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
        assert_eq!(STYLE_SHA256, STANDARD.encode(digest), "STYLE_SHA256 is to be this");
    }

    #[test]
    fn the_style_sheet_loads_nothing_and_ends_no_element() {
        for word in ["url(", "@import", "http", "<", "expression"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
