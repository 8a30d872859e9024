//! A page as text; everything that comes from outside is escaped.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const STYLE: &str = include_str!("style.css");

/// A page under construction.
pub(crate) struct Page {
    title: String,
    body: String,
}

/// A picture with a line below it.
pub(crate) struct Figure {
    /// PNG, JPEG or WebP.
    pub(crate) picture: Vec<u8>,
    pub(crate) caption: String,
}

/// What stands in a cell of a table.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    class: &'static str,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, class: "" }
    }
}

impl Cell {
    /// The best of its column.
    pub(crate) fn best(text: String) -> Self {
        Self { text, class: " class=best" }
    }

    /// Something beside what is compared.
    pub(crate) fn aside(text: String) -> Self {
        Self { text, class: " class=aside" }
    }
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new() }
    }

    pub(crate) fn section(&mut self, title: &str, text: &str) {
        let _ = write!(self.body, "<h2>{}</h2><p>{}</p>", escape(title), escape(text));
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
    }

    /// One row of pictures that belong together, under a heading line.
    pub(crate) fn row(&mut self, heading: &str, figures: &[Figure]) {
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
    pub(crate) fn sheet(&mut self, figure: &Figure) {
        let _ = write!(
            self.body,
            "<figure class=sheet><img src=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>",
            data_uri(&figure.picture),
            escape(&figure.caption),
            escape(&figure.caption)
        );
    }

    /// A table; the first cell of each row names it.
    pub(crate) fn table<C: Into<Cell> + Clone>(&mut self, heads: &[String], rows: &[Vec<C>]) {
        self.body.push_str("<div class=wide><table><thead><tr>");
        for head in heads {
            let _ = write!(self.body, "<th>{}</th>", escape(head));
        }
        self.body.push_str("</tr></thead><tbody>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let Cell { text, class } = cell.clone().into();
                let _ = write!(self.body, "<td{class}>{}</td>", escape(&text));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</tbody></table></div>");
    }

    /// Pictures in columns, one row a subject, under the columns' names.
    pub(crate) fn matrix(&mut self, heads: &[String], rows: &[Vec<Vec<u8>>]) {
        let widths = [74, 130].map(|pixels| pixels * heads.len());
        let _ = write!(
            self.body,
            "<div class=wide><table class=matrix style=\"min-width:{}px;max-width:{}px\"><thead><tr>",
            widths[0], widths[1]
        );
        for head in heads {
            let _ = write!(self.body, "<th>{}</th>", escape(head));
        }
        self.body.push_str("</tr></thead><tbody>");
        for row in rows {
            self.body.push_str("<tr>");
            for (picture, head) in row.iter().zip(heads) {
                let (uri, head) = (data_uri(picture), escape(head));
                let _ = write!(self.body, "<td><img src=\"{uri}\" alt=\"{head}\"></td>");
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</tbody></table></div>");
    }

    /// Markup of our own making.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    pub(crate) fn finish(self) -> String {
        let title = escape(&self.title);
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{}</main></html>\n",
            self.body
        )
    }
}

/// Text as it may stand in markup and attributes.
pub(crate) fn escape(text: &str) -> String {
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
