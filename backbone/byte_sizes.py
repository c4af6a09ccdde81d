"""How many bytes of a text each token holds, for any byte-level tokenizer."""

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase

from backbone.tokens import plain
from data_contracts.errors import ShapeError


def byte_sizes(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[int]]:
    """Tokenise *text*, which must be `plain`, and say how many bytes of it each token holds.

    A byte-level vocabulary writes every byte as one character, whatever was merged, so that the
    length of a token's name is its size.

    Returns:
        Token ids, and their sizes in bytes, which add up to the text's.

    Raises:
        ShapeError: *text* holds names of structure tokens, or the tokenizer is not byte-level.
    """
    if plain(text) != text:
        raise ShapeError("the text holds names of structure tokens; take them apart with `plain`")
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    names = [str(name) for name in tokenizer.convert_ids_to_tokens(ids)]
    # The whole text in the alphabet that byte-level vocabularies are written in.
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = "".join(word for word, _ in spelling.pre_tokenize_str(text))
    if "".join(names) != spelled:
        raise ShapeError(
            f"the names of {len(names)} tokens do not spell a text of {len(text.encode())} bytes; "
            "use a byte-level tokenizer without prefix space"
        )
    return ids, [len(name) for name in names]
