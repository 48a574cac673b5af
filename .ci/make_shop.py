"""Makes a shop's data as somebody might have them: CSV files, SQLite, and with a URL PostgreSQL.

python make_shop.py [postgresql+psycopg://shop@127.0.0.1:5432/shop]
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import sqlalchemy

import recexp

data = recexp.load_dataset("synthetic", n_users=150, n_items=120, n_interactions=4000)
orders = pd.DataFrame(
    {
        "customer": data.users.to_ids(data.interactions.user_idx),
        "sku": data.items.to_ids(data.interactions.item_idx),
        "stars": data.interactions.value.astype(int),
        "time": data.interactions.timestamp,
    }
).sort_values("time", kind="stable")
products = pd.DataFrame({"sku": data.items.ids, **data.item_columns})
for url in ["sqlite:///shop.db", *sys.argv[1:]]:
    engine = sqlalchemy.create_engine(url)
    orders.to_sql("orders", engine, index=False, if_exists="replace")
    products.to_sql("products", engine, index=False, if_exists="replace")

dirt = orders.head(3).astype(object)
dirt.iloc[0, 1], dirt.iloc[1, 2] = "", "n/a"  # no item, no number, and a row that is there twice
Path("shop").mkdir(exist_ok=True)
pd.concat([orders[:2000], dirt]).to_csv("shop/orders-2020.csv", sep=";", index=False)
orders[2000:].to_csv("shop/orders-2021.csv", sep=";", index=False)
products.to_csv("shop/products.csv", index=False)
