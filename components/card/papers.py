"""The papers whose methods a variant is composed of, to be cited."""

from collections.abc import Mapping

from components.config.augmentation import View
from components.config.variants import Composition, Part

SIMCSE = """@inproceedings{gao2021simcse,
  title = {{SimCSE}: Simple Contrastive Learning of Sentence Embeddings},
  author = {Gao, Tianyu and Yao, Xingcheng and Chen, Danqi},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language Processing},
  year = {2021},
  eprint = {2104.08821},
  archiveprefix = {arXiv}
}"""
ESIMCSE = """@inproceedings{wu2022esimcse,
  title = {{ESimCSE}: Enhanced Sample Building Method for Contrastive Learning of Unsupervised Sentence Embedding},
  author = {Wu, Xing and Gao, Chaochen and Zang, Liangjun and Han, Jizhong and Wang, Zhongyuan and Hu, Songlin},
  booktitle = {Proceedings of the 29th International Conference on Computational Linguistics},
  year = {2022},
  eprint = {2109.04380},
  archiveprefix = {arXiv}
}"""
ARCCSE = """@inproceedings{zhang2022arccse,
  title = {A Contrastive Framework for Learning Sentence Representations from Pairwise and Triple-wise Perspective in
           Angular Space},
  author = {Zhang, Yuhao and Zhu, Hongji and Wang, Yongliang and Xu, Nan and Li, Xiaobo and Zhao, Binqiang},
  booktitle = {Proceedings of the 60th Annual Meeting of the Association for Computational Linguistics},
  year = {2022}
}"""
NGCSE = """@inproceedings{li2024narrowing,
  title = {Narrowing the Gap between Supervised and Unsupervised Sentence Representation Learning with Large Language
           Model},
  author = {Li, Mingxin and Zhang, Richong and Nie, Zhijie and Mao, Yongyi},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year = {2024}
}"""


def papers_of(variant: Composition, views: Mapping[str, View]) -> list[str]:
    """BibTeX entries, in order of publication; none for an encoder that is not trained.

    `views` are those of section `augmentation`, by name.
    """
    terms = {term.term for term in variant.objective}
    kinds = {views[name].kind for part in variant.data for name in _views_of(part) if name in views}
    used = {
        SIMCSE: bool(terms & {"info_nce", "mlm"}),
        ESIMCSE: "word_repetition" in kinds or variant.momentum is not None,
        ARCCSE: bool(terms & {"arccon", "entailment_triplet"}),
        NGCSE: "hierarchical_triplet" in terms
        or bool(kinds & {"token_shuffle", "token_cutoff"})
        or any(part.set.startswith("tuples/") for part in variant.data),
    }
    return [paper for paper, is_used in used.items() if is_used]


def _views_of(part: Part) -> list[str]:
    roles = part.roles
    return [name for name in (roles.anchor, roles.positive, roles.negative) if name] if part.set == "corpus" else []
