"""Models for other programs: a model folder as an export for CTranslate2, and CTranslate2 as an engine of searches.

model folder ──specification──► export (a folder) ──Engine.load──► Engine, a search ──► hypotheses ──Forced──► J
                                  └── cache, by the hash of the folder
"""
