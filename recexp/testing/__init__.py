"""The contract of a recommender as checks that anyone's algorithm can be put through.

    def test_my_model_conforms():
        check_recommender(MyModel)

Every check raises AssertionError with what was found and what the contract says.
"""

from recexp.testing.contract import check_recommender

__all__ = ["check_recommender"]
