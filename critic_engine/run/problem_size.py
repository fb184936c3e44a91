"""Limits on the size of a problem, checked before any model sees it."""

from critic_engine.config.search import RunConfig
from critic_engine.errors import ProblemError
from critic_engine.types import Problem


def check_size(problem: Problem, limits: RunConfig) -> None:
    """Refuse a problem larger than the limits of the run.

    Raises:
        ProblemError: it has too many images, an image of too many pixels, or too many characters.
    """
    check_num_images(len(problem.images), limits.max_images)
    for image in problem.images:
        if image.width * image.height > limits.max_image_pixels:
            raise ProblemError(
                f"an image has {image.width} x {image.height} pixels, more than {limits.max_image_pixels:,}; make it "
                "smaller or raise run.max_image_pixels"
            )
    num_characters = len(problem.question) + sum(map(len, problem.choices))
    if num_characters > limits.max_characters:
        raise ProblemError(
            f"the question and its choices have {num_characters:,} characters, more than {limits.max_characters:,}; "
            "shorten them or raise run.max_characters"
        )


def check_num_images(num_images: int, max_images: int) -> None:
    """Refuse a problem with too many images, before the first is read.

    Raises:
        ProblemError: there are more than ``max_images``.
    """
    if num_images > max_images:
        raise ProblemError(
            f"the problem has {num_images} images, more than {max_images}; leave some out or raise run.max_images"
        )
