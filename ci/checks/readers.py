"""Reads every committed table of a store with pyarrow, DuckDB, Polars and `datasets`, and compares.

    python ci/checks/readers.py STORE KIND…

KIND is a kind of dataset that must be there, or `quarantine`. All four readers must find the rows that the
commit records name, in the same order; pictures and masks must decode by themselves in `datasets`; schemas must
be those of schemas/arrow.
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import datasets  # noqa: E402
import duckdb  # noqa: E402
import polars  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
from PIL import Image  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = ["captions", "generations", "attention", "masks"]
PICTURES = {"generations": "image", "masks": "mask"}
ROW_GROUP_ROWS = 100
UNCERTAIN = 255


class Table:
    """The objects of one kind that commits name, and how many rows they promise."""

    def __init__(self, kind, name):
        self.kind, self.name, self.files, self.rows = kind, name, [], 0

    def add(self, file, rows):
        self.files.append(str(file))
        self.rows += rows

    def must(self, true, what):
        if not true:
            sys.exit(f"error: {self.name}: {what}")


def committed(store):
    """Every table of the store, by the records alone."""
    for kind in KINDS:
        for dataset in sorted((store / kind).glob(f"{kind}-*")):
            rows = Table(kind, dataset.name)
            failed = Table("quarantine", f"{dataset.name}, quarantine")
            records = sorted(dataset.glob("commits/*.json")) + sorted(dataset.glob("retries/*.json"))
            for record in map(json.loads, (path.read_text() for path in records)):
                # A shard taken over from a smaller dataset lies in that one's folder.
                folder = dataset.parent / (record.get("dataset") or dataset.name)
                rows.add(folder / record["data_key"], record["rows"])
                if record["quarantine_key"]:
                    failed.add(folder / record["quarantine_key"], record["quarantined"])
            yield rows
            if failed.files:
                yield failed


def with_pyarrow(table):
    """The rows, after a look at how they are stored."""
    for file in table.files:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            for group in map(parquet.metadata.row_group, range(parquet.metadata.num_row_groups)):
                columns = [group.column(index) for index in range(group.num_columns)]
                table.must(group.num_rows <= ROW_GROUP_ROWS, f"a row group of {group.num_rows} rows")
                table.must({column.compression for column in columns} == {"ZSTD"}, "is not all Zstandard")
                table.must(all(column.has_offset_index for column in columns), "has no page index")
    rows = pyarrow.concat_tables([pyarrow.parquet.read_table(file, partitioning=None) for file in table.files])
    rows.validate(full=True)
    return rows


def arrow_type(data_type):
    """A type as schemas/arrow writes it."""
    if pyarrow.types.is_struct(data_type):
        return {"struct": [arrow_field(data_type.field(index)) for index in range(data_type.num_fields)]}
    if pyarrow.types.is_large_list(data_type):
        return {"large_list": arrow_field(data_type.value_field)}
    if pyarrow.types.is_list(data_type):
        return {"list": arrow_field(data_type.value_field)}
    return str(data_type)


def arrow_field(field):
    return {"name": field.name, "type": arrow_type(field.type), "nullable": field.nullable}


def with_duckdb(table):
    """Names of the samples, in order; pictures must be PNG, JPEG or WebP by their first bytes."""
    source = f"read_parquet({table.files!r})"
    names = duckdb.sql(f"select sample_id from {source}").fetchall()
    if picture := PICTURES.get(table.kind):
        bad = duckdb.sql(f"""select count(*) from {source} where not (
            starts_with(hex({picture}.bytes), '89504E47') or starts_with(hex({picture}.bytes), 'FFD8FF')
            or starts_with(hex({picture}.bytes), '52494646'))""").fetchall()[0][0]
        table.must(bad == 0, f"DuckDB: {bad} values of `{picture}` are no picture")
    return [name for (name,) in names]


def with_polars(table):
    frame = polars.read_parquet(table.files)
    if picture := PICTURES.get(table.kind):
        sizes = frame[picture].struct.field("bytes").bin.size()
        table.must((sizes > 0).all(), f"Polars: empty values in `{picture}`")
    return frame["sample_id"].to_list()


def with_datasets(table, cache):
    """Decodes every picture and every mask as the library does for its users, with no word of what they are."""
    rows = datasets.load_dataset("parquet", data_files=table.files, split="train", cache_dir=cache)
    picture = PICTURES.get(table.kind)
    if not picture:
        return rows["sample_id"]
    table.must(isinstance(rows.features[picture], datasets.Image), f"datasets: `{picture}` is no image")
    for row in rows:
        decoded = row[picture]
        table.must(isinstance(decoded, Image.Image), f"datasets: `{picture}` does not decode")
        table.must(decoded.size == (row["width"], row["height"]), f"datasets: `{picture}` has another size")
        if picture == "mask":
            table.must(decoded.mode == "L", f"datasets: a mask is {decoded.mode}")
            known = {0, UNCERTAIN} | {label["id"] for label in row["classes"]}
            found = {value for _, value in decoded.getcolors()}
            table.must(found <= known, f"datasets: a mask has the values {found}, its classes are {known}")
    return rows["sample_id"]


def check(table, cache):
    rows = with_pyarrow(table)
    names = rows["sample_id"].to_pylist()
    table.must(len(names) == table.rows, f"pyarrow: {len(names)} rows, committed {table.rows}")
    declared = json.loads((ROOT / f"schemas/arrow/{table.kind}.json").read_text())
    found = [arrow_field(field) for field in rows.schema]
    table.must(found == declared["fields"], f"pyarrow: the schema is {json.dumps(found)}")
    for reader, read in [("DuckDB", with_duckdb), ("Polars", with_polars),
                         ("datasets", lambda table: with_datasets(table, cache))]:
        table.must(list(read(table)) == names, f"{reader} finds other samples, or in another order")
    print(f"{table.name}: {table.rows} rows in {len(table.files)} objects, the same in every reader")


def main():
    datasets.disable_progress_bars()
    store, wanted = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
    found = set()
    with tempfile.TemporaryDirectory() as cache:
        for table in committed(store):
            check(table, cache)
            found.add(table.kind)
    if wanted - found:
        sys.exit(f"error: {store} holds no committed {', '.join(sorted(wanted - found))}")
    print(f"readers: pyarrow {pyarrow.__version__}, DuckDB {duckdb.__version__}, Polars {polars.__version__}, "
          f"datasets {datasets.__version__} agree")


if __name__ == "__main__":
    main()
