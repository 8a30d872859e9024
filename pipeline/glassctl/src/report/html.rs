//! A page as text; everything that comes from outside is escaped.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const STYLE: &str = include_str!("style.css");

/// A page under construction.
pub(super) struct Page {
    title: String,
    body: String,
}

/// A picture with a line below it.
pub(super) struct Figure {
    /// PNG, JPEG or WebP.
    pub(super) picture: Vec<u8>,
    pub(super) caption: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new() }
    }

    pub(super) fn section(&mut self, title: &str, text: &str) {
        let _ = write!(self.body, "<h2>{}</h2><p>{}</p>", escape(title), escape(text));
    }

    /// One row of pictures that belong together, under a heading line.
    pub(super) fn row(&mut self, heading: &str, figures: &[Figure]) {
        let _ = write!(self.body, "<div class=row><div class=head>{}</div><div class=strip>", escape(heading));
        for figure in figures {
            let _ = write!(
                self.body,
                "<figure><img src=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>",
                data_uri(&figure.picture),
                escape(&figure.caption),
                escape(&figure.caption)
            );
        }
        self.body.push_str("</div></div>");
    }

    /// A picture as wide as the page.
    pub(super) fn sheet(&mut self, figure: &Figure) {
        let _ = write!(
            self.body,
            "<figure class=sheet><img src=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>",
            data_uri(&figure.picture),
            escape(&figure.caption),
            escape(&figure.caption)
        );
    }

    /// A table; the first cell of each row names it.
    pub(super) fn table(&mut self, heads: &[String], rows: &[Vec<String>]) {
        self.body.push_str("<table><thead><tr>");
        for head in heads {
            let _ = write!(self.body, "<th>{}</th>", escape(head));
        }
        self.body.push_str("</tr></thead><tbody>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</tbody></table>");
    }

    /// Markup of our own making.
    pub(super) fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    pub(super) fn finish(self) -> String {
        let title = escape(&self.title);
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{}</main></html>\n",
            self.body
        )
    }
}

/// Text as it may stand in markup and attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn data_uri(picture: &[u8]) -> String {
    let kind = match picture {
        [0xff, 0xd8, ..] => "jpeg",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "png",
    };
    format!("data:image/{kind};base64,{}", STANDARD.encode(picture))
}

#[cfg(test)]
mod tests {
    use super::{Page, escape};

    #[test]
    fn text_from_outside_cannot_become_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        let mut page = Page::new("t");
        page.section("<script>", "x");
        assert!(!page.finish().contains("<script>"));
    }
}
