"""Print the results table of this study, in Markdown, from the runs that MLflow holds."""

from __future__ import annotations

import sys

import recexp

SPLITS = ("random", "temporal", "cold_user", "cold_item")
ALGORITHMS = ("popularity", "knn_baseline", "svd", "tfidf", "lightfm")
SEGMENTS = {"": "all", "warm_users/": "warm users", "cold_users/": "cold users"}


def main() -> None:
    runs = recexp.runs("cold_start")
    runs = runs[(runs["params.algo"].notna()) & (runs["status"] == "FINISHED")]
    latest = runs.drop_duplicates(["params.algo", "params.split"])  # newest first
    table = latest.set_index(["params.split", "params.algo"])
    lines = [
        "| split | algorithm | " + " | ".join(SEGMENTS.values()) + " | rmse |",
        "|---" * (len(SEGMENTS) + 3) + "|",
    ]
    for split in SPLITS:
        for algo in ALGORITHMS:
            row = table.loc[(split, algo)]
            cells = [cell(row, segment) for segment in SEGMENTS]
            rmse = f"{row['metrics.rmse']:.3f}"
            if row["tags.recexp.rating_source"] == "calibrated":
                rmse += " (c)"
            lines.append(f"| {split} | {algo} | " + " | ".join(cells) + f" | {rmse} |")
    sys.stdout.write("\n".join(lines) + "\n")


def cell(row: object, segment: str) -> str:
    name = f"metrics.{segment}ndcg_at_10"
    value, low, high = (row[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high"))
    users = row[f"metrics.{segment}n_users" if segment else "metrics.evaluated_users"]
    if value != value:
        return "–"
    return f"{value:.3f} [{low:.3f}, {high:.3f}] ({users:.0f})"


if __name__ == "__main__":
    main()
