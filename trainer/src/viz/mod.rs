//! Pictures of label maps. Colours come from one table, so a slot has the same colour in previews, reports and compositions.

mod overlay;
mod palette;
mod sheet;
mod table;
mod text;

pub use overlay::{Ground, overlay, paint};
pub use palette::{COLOURS, colour};
pub use sheet::Sheet;
pub use table::{PictureRow, PictureTable};
pub use text::{Caption, LINE};
