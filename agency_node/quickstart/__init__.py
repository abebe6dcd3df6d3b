"""Understand a small organisation's spreadsheet, and write the mapping that answers from it.

    sheets -> the table in them -> what each column looks like -> its meaning -> doubts -> mapping.yaml
    table.py              looks.py                   guess.py   meanings.py   doubts.py   draft.py

* Pure: rows in, values out. Nothing is read, asked or written here; `agency_node/cli/quickstart.py` does that.
* A heading decides when it is one that people use; the values below it confirm that, or speak where it does not.
* Nothing that stands in a cell below the headings is ever repeated. What is told of values is how many, in which rows,
  and their *shape*: `A9 9A` for a postcode.
* Whatever could make an agency say *no* about somebody it knows is a doubt that a person must settle (T-LNK-5): two
  date orders in one column, rows without a number, words for open and closed that are not understood.
"""
