"""Classification of images: the label of a row is predicted from its pixels."""

from benchmark.tasks.images.task import Images

TASK = Images()
