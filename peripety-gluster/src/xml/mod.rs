//! What `gluster … --xml` prints (GlusterFS 10.3, `cli/src/cli-xml-output.c`).

mod heal;
mod peers;
mod status;
mod volumes;

use roxmltree::{Document, Node, ParsingOptions};

pub use self::{
    heal::heal,
    peers::peers,
    status::{Process, Processes, status},
    volumes::volumes,
};

/// Elements that are read: a thousand volumes of a hundred bricks have fewer.
const NODES_MAX: u32 = 4_000_000;

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It is no XML.
    #[error("the answer of gluster is no XML: {0}")]
    Parse(#[from] roxmltree::Error),
    /// The command failed.
    #[error("gluster says: {text} (opRet {code}, opErrno {errno})")]
    Refused {
        /// `opRet`.
        code: i64,
        /// `opErrno`: 30800 is a volume that is not started.
        errno: i64,
        /// `opErrstr`.
        text: String,
    },
    /// It is another document.
    #[error("the answer of gluster has no <{0}>")]
    Missing(&'static str),
}

/// Reads a document and gives what is below `inside`, if the command did not fail.
fn answer<T>(text: &str, inside: &'static str, read: impl FnOnce(Node<'_, '_>) -> T) -> Result<T, XmlError> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start(), options)?;
    let root = document.root_element();
    let code = number(root, "opRet").unwrap_or(0);
    if code != 0 {
        let errno = number(root, "opErrno").unwrap_or(0);
        return Err(XmlError::Refused { code, errno, text: word(root, "opErrstr").unwrap_or_default() });
    }
    child(root, inside).map(read).ok_or(XmlError::Missing(inside))
}

/// The first element of a name below one.
fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// All elements of a name below one.
fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

/// The text of an element below one; none where it is empty.
fn word(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name)?.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A number of an element below one.
fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    word(node, name)?.parse().ok()
}
